"""How a head's attention changes from a contrast prompt, position by position the same, to a prompt."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from circuitbase.errors import InputError
from circuitbase.tracing.attention.component_scores import HeadLook
from circuitbase.tracing.attention.softmax_parts import integrated


@dataclass(frozen=True)
class AttentionChange:
    """A row per visible key; changes are the prompt's number less the contrast prompt's.

    The change of a key's score is `by_query` (the query changes, the key stays the contrast's) + `by_key` + `by_both`
    (their interaction). `part[c, j]` is what the change of key j's score changes in the weight of chosen key c,
    integrated between the two prompts' scores: a row sums to the change of that weight but for `gap`.
    """

    keys: Int64[np.ndarray, " key"]
    score: Float64[np.ndarray, " key"]
    contrast_score: Float64[np.ndarray, " key"]
    weight: Float64[np.ndarray, " key"]
    contrast_weight: Float64[np.ndarray, " key"]
    by_query: Float64[np.ndarray, " key"]
    by_key: Float64[np.ndarray, " key"]
    by_both: Float64[np.ndarray, " key"]
    part: Float64[np.ndarray, "chosen key"]
    gap: float


def attention_change(look: HeadLook, contrast: HeadLook, *, of: Int64[np.ndarray, " chosen"]) -> AttentionChange:
    """Returns the change of a head's attention; `of` are the places of the keys whose weights are split.

    Raises InputError unless both prompts show the query the same positions.
    """
    if look.query != contrast.query or not np.array_equal(look.keys, contrast.keys):
        raise InputError(
            "a contrast prompt must have the prompt's positions, so that each key has its counterpart, but the query "
            f"is at position {look.query} of {look.keys[-1] + 1} visible ones here and {contrast.query} of "
            f"{contrast.keys[-1] + 1} there; give prompts of equal length"
        )
    asked, offered = (look.query_vector - contrast.query_vector), (look.key_vectors - contrast.key_vectors)
    coefficients = integrated(contrast.scores, look.scores, of=of, soft_cap=look.soft_cap)
    return AttentionChange(
        keys=look.keys,
        score=look.scores,
        contrast_score=contrast.scores,
        weight=look.weights,
        contrast_weight=contrast.weights,
        by_query=(look.scale * (contrast.key_vectors @ asked)).cpu().numpy(),
        by_key=(look.scale * (offered @ contrast.query_vector)).cpu().numpy(),
        by_both=(look.scale * (offered @ asked)).cpu().numpy(),
        part=coefficients.coefficient * (look.scores - contrast.scores),
        gap=coefficients.gap,
    )
