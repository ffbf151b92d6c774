"""Heads that look back by what was there: previous-token, duplicate-token and induction heads.

Measured on random tokens that are repeated, so that nothing but the repetition says where to look. A sequence is
what stands before it (begin-of-sequence), then `period` different tokens, then the same again. With the tokens
at positions s, s + 1, ...:

- previous token: the mean of `pattern[t, t - 1]` over all drawn t but the first (whose previous one was not drawn);
- duplicate token: the mean of `pattern[t, t - period]` over the second half;
- induction: the mean of `pattern[t, t - period + 1]` over the second half (Olsson et al. 2022, prefix matching).

A score is the mean over periods, so a head that looks back by a fixed number of positions gets at most the
share of periods that fit. A head that spreads over all n positions it sees gets 1/n.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.patterns import attention_patterns
from circuitbase.tracing.head_roles.random_tokens import TokenPool, repeated_tokens
from circuitbase.tracing.head_roles.roles import Role, RoleScores

ROLES = (Role.PREVIOUS_TOKEN, Role.DUPLICATE_TOKEN, Role.INDUCTION)


def looking_back(model: ComponentModel, pool: TokenPool, options: HeadRoleOptions) -> dict[Role, RoleScores]:
    """Returns the scores of the three roles."""
    by_period = {period: _of_period(model, pool, options, period=period) for period in options.periods}
    measured_on = {
        "data": f"random sequences of period p, twice, drawn from {len(pool.tokens)} tokens",
        "periods": list(options.periods),
        "sequences": options.sequences,
        "seeds": list(options.seeds),
    }
    return {
        role: RoleScores(
            score=np.mean([found[role] for found in by_period.values()], axis=0),
            parts={f"period_{period}": found[role] for period, found in by_period.items()},
            measured_on=measured_on,
        )
        for role in ROLES
    }


def _of_period(
    model: ComponentModel, pool: TokenPool, options: HeadRoleOptions, *, period: int
) -> dict[Role, Float64[np.ndarray, "layer head"]]:
    tokens = torch.cat(
        [repeated_tokens(pool, sequences=options.sequences, period=period, seed=seed) for seed in options.seeds]
    )
    return attention_back(attention_patterns(model, tokens), period=period, start=pool.start)


def attention_back(
    patterns: Float[Tensor, "batch layer head query key"], *, period: int, start: int
) -> dict[Role, Float64[np.ndarray, "layer head"]]:
    """Returns the mean attention of each role on sequences whose first drawn token is at `start`."""
    drawn = torch.arange(start + 1, start + 2 * period)
    second = torch.arange(start + period, start + 2 * period)
    places = {
        Role.PREVIOUS_TOKEN: (drawn, drawn - 1),
        Role.DUPLICATE_TOKEN: (second, second - period),
        Role.INDUCTION: (second, second - period + 1),
    }
    return {
        role: patterns[..., queries, keys].double().mean((0, 3)).numpy() for role, (queries, keys) in places.items()
    }
