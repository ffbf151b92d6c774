"""Heads that look at positions, whatever is there.

On random prompts of different tokens, the attention of each head at each query varies over keys and prompts. With
`p[b, t, s]` the attention of prompt b from t to s and `u[b, t]` its mean over the keys that t sees, the variance is
the sum of `(p - u)²`; positions alone explain the part of the mean over prompts. The score is their share: 1 for a
head whose pattern is the same on all prompts, 0 for one that follows tokens alone. Both sums are corrected for
the chance part that a mean over few prompts has, and the share is cut at 0. A head that always spreads evenly has
no variance and gets 0. The token before the sequence (begin-of-sequence) is no query and no key here: what a head
leaves there when it finds nothing is no choice of a position.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.patterns import attention_patterns
from circuitbase.tracing.head_roles.random_tokens import TokenPool, distinct_tokens
from circuitbase.tracing.head_roles.roles import RoleScores

NO_VARIANCE = 1e-9  # of attention, per prompt, query and key


def positional(model: ComponentModel, pool: TokenPool, options: HeadRoleOptions) -> RoleScores:
    """Returns each head's share of variance that positions explain; `attention_before` is what lies before them."""
    tokens = torch.cat(
        [distinct_tokens(pool, sequences=options.sequences, length=options.length, seed=seed) for seed in options.seeds]
    )
    patterns = attention_patterns(model, tokens).double()
    n_positions = tokens.shape[1]
    visible = torch.stack([each.visible(n_positions, device=patterns.device) for each in model.attention])
    share = positional_share(patterns[..., pool.start :, pool.start :], visible=visible[:, pool.start :, pool.start :])
    before = patterns[..., pool.start :, : pool.start].sum(-1).mean((0, 3))
    return RoleScores(
        score=share,
        parts={"attention_before": before.numpy()},
        measured_on={
            "data": f"random sequences of different tokens, drawn from {len(pool.tokens)}",
            "length": options.length,
            "sequences": options.sequences,
            "seeds": list(options.seeds),
        },
    )


def positional_share(
    patterns: Float[Tensor, "batch layer head query key"], *, visible: Bool[Tensor, "layer query key"]
) -> Float64[np.ndarray, "layer head"]:
    """Returns the share of the variance of patterns, at the keys that a layer's queries see, that positions explain."""
    n = len(patterns)
    seen = visible[:, None].double()
    patterns = patterns.double()
    even = (patterns * seen).sum(-1, keepdim=True) / seen.sum(-1, keepdim=True)
    apart = (patterns - even) * seen
    mean = apart.mean(0)
    by_prompt = (apart - mean).square().sum((0, 3, 4)) / (n - 1)
    by_position = (mean.square().sum((2, 3)) - by_prompt / n).clamp(min=0)
    total = by_position + by_prompt
    none = total < NO_VARIANCE * seen.sum((1, 2, 3))[:, None]
    share: Float64[np.ndarray, "layer head"] = torch.where(none, 0.0, by_position / total).numpy()
    return share
