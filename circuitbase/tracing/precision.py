"""How precisely matrices are multiplied, and what a half-precision run rounds away."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

HALF = ("bfloat16", "float16")


@contextmanager
def matrix_precision(*, tf32: bool) -> Iterator[None]:
    """Lets a GPU multiply float32 matrices in TF32 while the block runs, or keeps it from doing so."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def share_of(rounding: Float[Tensor, "position d_model"], x: Float[Tensor, "position d_model"]) -> float:
    """Returns the norm of what was rounded away, over that of what is there, at the worst position."""
    return float((rounding.norm(dim=-1) / x.norm(dim=-1).clamp_min(1e-30)).max())
