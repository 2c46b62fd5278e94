"""The operators of ONNX files: which function says what steps each stands for; imported when a file has one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from costcalc.frontends.onnx.rules.known_elements import folded

__all__ = ["NO_RULE", "OPERATORS", "folded", "rule_of", "why_not"]

_NAMES = {
    "": {
        "elementwise": """
        Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Erf Exp Floor Log Neg Not Reciprocal Round Sign Sin
        Sinh Sqrt Tan IsInf IsNaN BitwiseNot BitCast Cast CastLike Add Sub Mul Div Pow Mod And Or Xor Equal
        Less LessOrEqual Greater GreaterOrEqual BitShift BitwiseAnd BitwiseOr BitwiseXor Sum Max Min Mean
        Where Identity Dropout
        """,
        "activations": """
        SwiGLU Relu LeakyRelu Elu Selu Celu Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Mish Gelu PRelu
        ThresholdedRelu Clip Swish Hardmax Shrink Softmax LogSoftmax
        """,
        "layers": """
        Conv ConvTranspose DeformConv MatMul Gemm Einsum LSTM GRU RNN
        """,
        "pools": """
        AveragePool MaxPool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool MaxRoiPool MaxUnpool RoiAlign
        """,
        "norms": """
        BatchNormalization InstanceNormalization GroupNormalization LayerNormalization RMSNormalization LRN
        LpNormalization MeanVarianceNormalization SimplifiedLayerNormalization
        """,
        "reductions": """
        ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
        ReduceSumSquare ArgMax ArgMin CumSum CumProd TopK Unique NonZero Compress NonMaxSuppression
        NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss Det
        """,
        "shapes": """
        Reshape Flatten Squeeze Unsqueeze Transpose Expand Tile Concat Split Slice Pad Shape Size Range
        ConstantOfShape Constant EyeLike OneHot DepthToSpace SpaceToDepth ReverseSequence Trilu CenterCropPad
        RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial HannWindow
        HammingWindow BlackmanWindow MelWeightMatrix
        """,
        "moves": """
        Gather GatherElements GatherND ScatterElements ScatterND Scatter TensorScatter Resize Upsample
        GridSample AffineGrid Col2Im DFT STFT
        """,
        "attention": "Attention RotaryEmbedding LinearAttention CausalConvWithState",
        "quantised": """
        QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger
        MatMulInteger
        """,
        "control": """
        If Loop Scan SequenceConstruct SequenceEmpty SequenceAt SequenceInsert SequenceErase SequenceLength
        SplitToSequence ConcatFromSequence SequenceMap Optional OptionalGetElement
        OptionalHasElement
        """,
    },
    "com.microsoft": {
        "microsoft": """
        FusedConv FusedGemm FusedMatMul FusedMatMulActivation TransposeMatMul MatMulNBits MatMulBnb4
        NhwcFusedConv NhwcMaxPool SkipLayerNormalization SimplifiedLayerNormalization
        SkipSimplifiedLayerNormalization EmbedLayerNormalization SkipGroupNorm GroupNorm BiasGelu FastGelu
        Gelu QuickGelu BiasSplitGelu BiasAdd BiasDropout BiasSoftmax Pad Trilu GridSample Rfft Irfft
        GatherBlockQuantized ExpandDims GatherND GemmFastGelu Unique TorchEmbedding CDist ComplexMul ComplexMulConj
        IsAllFinite ReduceSumInteger MulInteger NhwcConv Range Inverse
        """,
        "decoders": "MatMulNBitsMlp MatMulNBitsQkv GatedRMSNorm SwiGLU ScaledSiLU",
        "contrib_attention": """
        Attention MultiHeadAttention GroupQueryAttention RotaryEmbedding QAttention
        DecoderMaskedMultiHeadAttention SparseAttention MoE
        """,
        "quantised": """
        DynamicQuantizeLSTM QLinearAdd QLinearMul QLinearSigmoid QLinearLeakyRelu
        QLinearGlobalAveragePool QLinearAveragePool
        QLinearConcat QLinearSoftmax QLinearReduceMean QLinearWhere QLinearConv QGemm MatMulIntegerToFloat
        DynamicQuantizeMatMul QuantizeLinear DequantizeLinear
        """,
    },
    "ai.onnx.preview": {"decoders": "FlexAttention"},
    "com.microsoft.nchwc": {
        "blocked": """
        Conv MaxPool AveragePool GlobalMaxPool GlobalAveragePool ReorderInput ReorderOutput Upsample
        """,
    },
    "com.ms.internal.nhwc": {
        "blocked": "Conv MaxPool AveragePool GlobalAveragePool GlobalMaxPool QLinearConv",
    },
}

OPERATORS: dict[tuple[str, str], str] = {
    (domain, name): module
    for domain, modules in _NAMES.items()
    for module, names in modules.items()
    for name in names.split()
}
"""Operator by its domain → the module here that has its rule. A test checks it against those modules."""


NO_RULE: dict[str, str] = {
    "it works on texts, which have no size": """
    StringConcat StringNormalizer StringSplit RegexFullMatch TfIdfVectorizer Tokenizer WordConvEmbedding MurmurHash3
    LabelEncoder CategoryMapper CastMap DictVectorizer ZipMap NGramHashMapping VarlenNGramHashMapping
    """,
    "it unpacks a picture, whose bytes decide the work": "ImageDecoder",
    "it is a step of training": """
    Adagrad Adam Gradient Momentum BitmaskDropout BitmaskBiasDropout ConvStateReplay GatedDeltaNetStateReplay
    """,
    "it is no neural network: trees, vectors and scales of ai.onnx.ml": """
    ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LinearClassifier LinearRegressor Normalizer OneHotEncoder
    SVMClassifier SVMRegressor Scaler TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor
    """,
    "it runs a network as often as what that makes decides": """
    BeamSearch GreedySearch Sampling WhisperBeamSearch NGramRepeatBlock SpeculativePrefixCommit BifurcationDetector
    """,
    "it is code of a device, which the file does not explain": "EPContext Snpe",
    "how long its sequences are, its values say": """
    PackedAttention PackedMultiHeadAttention PagedAttention SparsePagedAttention RemovePadding RestorePadding MoEPacked
    PackedSparseAttentionIndexer PackedSparseAttentionIndexerMerge VarlenCausalConvWithState GatherPacked MatMulPacked
    """,
    "its matrices lie as one maker's library wants them": """
    QOrderedAttention QOrderedGelu QOrderedLayerNormalization QOrderedLongformerAttention QOrderedMatMul
    QuantizeWithOrder DequantizeWithOrder QuantizeBFP DequantizeBFP MatMulFpQ4
    """,
}  # fmt: skip
"""Why there is no rule for operators → which. Others, of a domain of their own or new, are told by name alone."""


def why_not(operator: str) -> str:
    """Why there is no rule for ``operator``; nothing if nothing is known of it."""
    return next((why for why, names in NO_RULE.items() if operator in names.split()), "")


@cache
def rule_of(domain: str, operator: str) -> Callable[..., Any] | None:
    """The rule of an operator; None if there is none."""
    module = OPERATORS.get((domain, operator))
    if module is None:
        return None
    rules = import_module(f"costcalc.frontends.onnx.rules.{module}").RULES
    return rules.get((domain, operator)) or rules.get(operator)  # type: ignore[no-any-return]
