"""Configurations of Hugging Face and YAMLs of ultralytics as strangers may write them: honest ones with a few things
that are not."""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any

CONFIGS: tuple[dict[str, Any], ...] = (
    {
        "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 50, "max_position_embeddings": 24,
        "type_vocab_size": 2, "hidden_act": "gelu",
    },
    {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 32, "vocab_size": 50,
        "max_position_embeddings": 64, "rope_theta": 10000.0, "tie_word_embeddings": False,
    },
    {
        "model_type": "vit", "architectures": ["ViTForImageClassification"], "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 32, "image_size": 16, "patch_size": 8, "num_channels": 3,
    },
    {
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 16, "d_kv": 8, "d_ff": 32,
        "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2, "vocab_size": 40,
        "relative_attention_num_buckets": 8,
    },
    {
        "model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 24, "vocab_size": 30,
        "num_local_experts": 4, "num_experts_per_tok": 2, "max_position_embeddings": 32,
    },
)  # fmt: skip
"""Small models of transformers by their configurations."""

YOLO = """
nc: 4
scales:
  n: [0.33, 0.25, 1024]
backbone:
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [32, 3, 2]]
  - [-1, 2, C2f, [32, True]]
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, SPPF, [64, 5]]
head:
  - [-1, 1, nn.Upsample, [None, 2, "nearest"]]
  - [[-1, 2], 1, Concat, [1]]
  - [-1, 1, C2f, [32]]
  - [[7, 4], 1, Detect, [nc]]
"""

STRANGE: tuple[Any, ...] = (
    0, 1, -1, 3, 7, 1e9, 10**12, 10**30, 0.5, -0.0, "", "x", "../../etc", "\x1b[31m", "a" * 5000, True, False,
    None, [], {}, [0], [[[]]], {"x": {}}, ["BertModel", "x"],
    {"auto_map": {"AutoModel": "evil.Net"}}, "gelu", "float16", "torch.float99",
)  # fmt: skip
WORDS = (
    "0", "-1", "-99", "7", "3", "1000000000", "1e9", "None", "nc", "Conv", "os.system", "C3k2", "nn.Linear", "open",
    "Detect", "[1, 2]", "", "True", "0.0001",
)  # fmt: skip
KEYS = (
    "auto_map", "trust_remote_code", "torch_dtype", "dtype", "quantization_config", "text_config", "vision_config",
    "num_labels", "pad_token_id", "attn_implementation", "_attn_implementation", "is_decoder", "sub_configs",
    "transformers_version", "layer_types", "rope_scaling", "use_cache", "_name_or_path", "__class__", "head_dim",
)  # fmt: skip


def config(chance: random.Random) -> bytes:
    """A configuration with one to four strange values, keys or models; sometimes cut off."""
    made = copy.deepcopy(chance.choice(CONFIGS))
    for _ in range(chance.choice((1, 1, 2, 4))):
        kind, key = chance.random(), chance.choice([*made])
        if kind < 0.55:
            made[key] = chance.choice(STRANGE)
        elif kind < 0.7:
            made[chance.choice(KEYS)] = chance.choice(STRANGE)
        elif kind < 0.8:
            del made[key]
            made = made or {"model_type": "bert"}
        elif kind < 0.9 and isinstance(made[key], int):
            made[key] = made[key] * chance.choice((2, 3, 100, 10_000, 10**6))
        else:
            made["model_type"] = chance.choice(["gpt2", "clip", "whisper", "bert", "no-such", "", 5])
    text = json.dumps(made)
    if chance.random() < 0.1:
        text = text[: chance.randrange(len(text))]
    return text.encode("utf-8", "surrogatepass")


def yolo(chance: random.Random) -> bytes:
    """The same of a network of ultralytics: other numbers, words and lines."""
    lines = YOLO.strip().split("\n")
    for _ in range(chance.choice((1, 1, 2, 4))):
        at, kind = chance.randrange(len(lines)), chance.random()
        if kind < 0.6:
            words = list(re.finditer(r"-?\d+(?:\.\d+)?|[A-Za-z_][\w.]*", lines[at]))
            if words:
                word = chance.choice(words)
                new = chance.choice(WORDS)
                lines[at] = lines[at][: word.start()] + new + lines[at][word.end() :]
        elif kind < 0.8:
            lines.insert(at, lines[at] * chance.choice((1, 1, 2)))
        else:
            del lines[at]
            lines = lines or ["nc: 1"]
    return "\n".join(lines).encode()
