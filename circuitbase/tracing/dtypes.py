"""The numbers that a model or a dictionary is kept in, by name: this file needs no torch."""

from typing import Literal, get_args

DType = Literal["float32", "float64", "bfloat16", "float16"]
DTYPE_NAMES: tuple[str, ...] = get_args(DType)
