"""ONNX's element types by the names that costcalc has for them."""

from __future__ import annotations

NAMES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "int16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "int32", 13: "int64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8", 18: "float8", 19: "float8", 20: "float8", 21: "int4", 22: "int4", 23: "float4", 24: "float8",
    25: "int2", 26: "int2", 27: "float6", 28: "float6",
}  # fmt: skip
"""By number in ``TensorProto.DataType``; unsigned ones are as wide as the others, all eight-bit floats are one."""
