"""The arrays of a raw graph, of every age, held to their shapes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

_NEEDED = ("adjacency_matrix", "active_features", "selected_features", "activation_values", "input_tokens")


@dataclass(frozen=True)
class RawArrays:
    """The arrays as numpy has them: [node, node], [active, 3], [feature] and [active], once they are held to that.

    `targets` are (text, token) of the outputs, `config` what the model's says.
    """

    matrix: Float32[np.ndarray, "..."]
    active: Int64[np.ndarray, "..."]
    selected: Int64[np.ndarray, "..."]
    activations: Float32[np.ndarray, "..."]
    tokens: Int64[np.ndarray, " position"]
    probabilities: Float32[np.ndarray, " output"]
    targets: tuple[tuple[str, int], ...]
    n_layers: int
    d_vocab: int
    config: Mapping[str, Any]


def raw_arrays(found: Mapping[str, Any]) -> RawArrays:
    """Returns the arrays of a loaded file; raises ValueError with a sentence for what is missing or misshapen."""
    missing = [name for name in (*_NEEDED, "logit_probabilities") if not hasattr(found.get(name), "numpy")]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    config = _config(found.get("cfg"))
    n_layers = config.get("n_layers")
    if not isinstance(n_layers, int) or n_layers < 1:
        raise ValueError(f"`cfg` should say how many layers there are, got {n_layers!r:.40}")
    targets = _targets(found)
    vocabulary = found.get("vocab_size") or config.get("d_vocab") or 0
    arrays = RawArrays(
        matrix=_floats(found["adjacency_matrix"]),
        active=_integers(found["active_features"]),
        selected=_integers(found["selected_features"]),
        activations=_floats(found["activation_values"]),
        # one batch dimension in the first files
        tokens=_integers(found["input_tokens"]).reshape(-1),
        probabilities=_floats(found["logit_probabilities"]).reshape(-1),
        targets=targets,
        n_layers=n_layers,
        d_vocab=vocabulary if isinstance(vocabulary, int) else 0,
        config=config,
    )
    problems = _problems(arrays)
    if problems:
        raise ValueError("; ".join(problems))
    return arrays


def _problems(arrays: RawArrays) -> list[str]:
    n_positions, n_active = len(arrays.tokens), len(arrays.active)
    if arrays.active.ndim != 2 or arrays.active.shape[1] != 3:
        return [f"active_features should be [active, 3], got {list(arrays.active.shape)}"]
    if arrays.selected.ndim != 1:
        return [f"selected_features should be [selected], got {list(arrays.selected.shape)}"]
    n_nodes = len(arrays.selected) + (arrays.n_layers + 1) * n_positions + len(arrays.targets)
    found = []
    if arrays.matrix.shape != (n_nodes, n_nodes):
        found.append(
            f"adjacency_matrix should be [{n_nodes}, {n_nodes}] for {len(arrays.selected)} features, {arrays.n_layers} "
            f"layers, {n_positions} tokens and {len(arrays.targets)} logits, got {list(arrays.matrix.shape)}"
        )
    if len(arrays.probabilities) != len(arrays.targets) or not len(arrays.targets):
        found.append(f"{len(arrays.targets)} logits should have as many probabilities, got {len(arrays.probabilities)}")
    if arrays.activations.shape != (n_active,):
        found.append(
            f"activation_values should be [{n_active}], as active_features, got {list(arrays.activations.shape)}"
        )
    elif not np.isfinite(arrays.activations).all() or not np.isfinite(arrays.probabilities).all():
        found.append("activation_values and logit_probabilities should be finite")
    if len(arrays.selected) and not 0 <= arrays.selected.min() <= arrays.selected.max() < n_active:
        found.append(f"selected_features should name the {n_active} active features")
    elif len(np.unique(arrays.selected)) < len(arrays.selected):
        found.append("selected_features should name each feature once")
    if n_active:
        largest, least = arrays.active.max(axis=0), arrays.active.min()
        if least < 0 or largest[0] >= arrays.n_layers or largest[1] >= n_positions:
            found.append(f"active_features should be of {arrays.n_layers} layers and {n_positions} positions")
        elif len(np.unique(arrays.active, axis=0)) < n_active:
            found.append("active_features should name each feature once a position")
    return found


def _config(found: Any) -> Mapping[str, Any]:
    if isinstance(found, Mapping):
        return found
    return dict(vars(found)) if hasattr(found, "__dict__") else {}


def _targets(found: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Returns (text, token) of each output: pairs since 2026, a tensor of tokens before."""
    given = found.get("logit_targets", found.get("logit_tokens"))
    if hasattr(given, "numpy"):
        return tuple(("", int(token)) for token in _integers(given).reshape(-1))
    if isinstance(given, list | tuple) and all(isinstance(each, tuple) and len(each) == 2 for each in given):
        return tuple((str(string), int(token)) for string, token in given)
    raise ValueError(f"it should say where it ends by logit_tokens or logit_targets, got {given!r:.40}")


def _floats(tensor: Any) -> np.ndarray:
    found: np.ndarray = tensor.detach().float().numpy()
    return found


def _integers(tensor: Any) -> np.ndarray:
    found: np.ndarray = tensor.detach().long().numpy()
    return found
