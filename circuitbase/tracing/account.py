"""The account of every target: what flows in along edges, what was dropped, and what is constant."""

import numpy as np
from jaxtyping import Float64


def largest_violation(
    net_input: Float64[np.ndarray, " target"],
    *,
    bias_effect: Float64[np.ndarray, " target"],
    preactivation: Float64[np.ndarray, " target"],
    absolute_input: Float64[np.ndarray, " target"],
) -> float:
    """Returns the largest |ΣA + bias_effect − preactivation| / (Σ|A| + |bias_effect|).

    `net_input` is ΣA with what was dropped, `absolute_input` Σ|A| before anything was.
    """
    gap = np.abs(net_input + bias_effect - preactivation)
    size = absolute_input + np.abs(bias_effect)
    violation = np.divide(gap, size, out=(gap > 0).astype(np.float64), where=size > 0)
    return float(violation.max(initial=0.0))
