"""The account of every target: what flows in along edges, what was dropped, and what is constant."""

import numpy as np
from jaxtyping import Float, Int

from circuitbase.graph.node_sums import node_sums


def largest_violation(
    target: Int[np.ndarray, " edge"],
    weight: Float[np.ndarray, " edge"],
    *,
    rest: Float[np.ndarray, " node"],
    bias_effect: Float[np.ndarray, " node"],
    preactivation: Float[np.ndarray, " node"],
    absolute_input: Float[np.ndarray, " node"],
) -> float:
    """Returns the largest |Σ weight + rest + bias_effect − preactivation| / (Σ|A| + |bias_effect|).

    `absolute_input` is Σ|A| before anything was dropped. Nodes whose pre-activation is nan have no account.
    """
    found = node_sums(target, weight, n_nodes=len(preactivation))
    has_account = np.isfinite(preactivation)
    columns = (found, rest, bias_effect, preactivation, absolute_input)
    total, rest, bias_effect, preactivation, absolute_input = (
        column[has_account].astype(np.float64) for column in columns
    )
    gap = np.abs(total + rest + bias_effect - preactivation)
    size = absolute_input + np.abs(bias_effect)
    violation = np.divide(gap, size, out=(gap > 0).astype(np.float64), where=size > 0)
    return float(violation.max(initial=0.0))
