"""What a method finds on one batch of pairs."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Found:
    """Scores, 0 where there is no edge; `gap` is what a sum that should be complete lacks, where there is one."""

    scores: Float[Tensor, "batch source receiver"]
    gap: Float[Tensor, " batch"] | None = None
