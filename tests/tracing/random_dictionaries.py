"""Random dictionaries as plain tensors per layer, in the form that `FrozenReference` takes."""

import numpy as np
import torch
from torch import Tensor


def random_dictionary(
    n_layers: int,
    *,
    width: int,
    n_features: int = 12,
    activation: str = "jumprelu",
    skip: bool = False,
    cross_layer: bool = False,
    seed: int = 0,
) -> list[dict[str, Tensor]]:
    """Returns a layer's `W_enc`, `W_dec`, `b_enc`, `b_dec` each, and what its kind adds to them."""
    random = np.random.default_rng(seed)
    layers = []
    for layer in range(n_layers):
        slots = (n_layers - layer,) if cross_layer else ()
        arrays = {
            "W_enc": random.normal(size=(n_features, width)) / width**0.5,
            "W_dec": random.normal(size=(n_features, *slots, width)) / 3,
            "b_enc": 0.2 * random.normal(size=n_features),
            "b_dec": 0.3 * random.normal(size=width),
        }
        if activation == "jumprelu":
            arrays["threshold"] = random.uniform(0.1, 0.5, size=n_features)
        if skip:
            arrays["W_skip"] = 0.5 * random.normal(size=(width, width)) / width**0.5
        layers.append({name: torch.from_numpy(array) for name, array in arrays.items()})
    return layers
