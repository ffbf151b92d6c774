"""Controlling the share of false discoveries among many tests."""

import numpy as np
from jaxtyping import Float64
from scipy.stats import false_discovery_control


def discovery_rates(p: Float64[np.ndarray, " test"]) -> Float64[np.ndarray, " test"]:
    """Returns q of each test: the smallest rate of false discoveries at which it is one (Benjamini, Hochberg 1995)."""
    return np.asarray(false_discovery_control(np.clip(p, 0.0, 1.0)), dtype=np.float64) if len(p) else p
