"""The number formats that a model may be run in."""

from typing import Literal, get_args

DType = Literal["float32", "float64", "bfloat16", "float16"]
DTYPE_NAMES: tuple[str, ...] = get_args(DType)
