"""circuit-tracer's raw graphs, written with classes that only bear the names of its own.

The graph is that of `graph_files` but for features that are active and were not selected.
"""

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tests.ingest.foreign.graph_files import EDGES, FEATURES, N_LAYERS, OUTPUTS, TOKENS, Node

UNSELECTED = {(1, 30, 1): 0.125}


class Config:
    """A configuration of any age: attributes alone."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class LogitTarget(NamedTuple):
    token_str: str
    vocab_idx: int


@contextmanager
def named(kind: type, dotted: str) -> Iterator[type]:
    """A class that pickles under a dotted name, whose modules are there only meanwhile."""
    module, _, name = dotted.rpartition(".")
    parts = module.split(".")
    packages = [".".join(parts[: length + 1]) for length in range(len(parts))]
    missing = [package for package in packages if package not in sys.modules]
    sys.modules |= {package: types.ModuleType(package) for package in missing}
    setattr(sys.modules[module], name, kind)
    kind.__module__, kind.__qualname__, kind.__name__ = module, name, name
    try:
        yield kind
    finally:
        for package in missing:
            del sys.modules[package]


def raw_graph() -> dict[str, Any]:
    """What is common to all ages."""
    n_positions = len(TOKENS)
    features = sorted([*FEATURES, *UNSELECTED])
    selected = [features.index(key) for key in sorted(FEATURES)]
    order: list[Node] = [("feature", layer, unit, position) for layer, unit, position in sorted(FEATURES)]
    order += [("error", layer, 0, position) for layer in range(N_LAYERS) for position in range(n_positions)]
    order += [("embedding", -1, token, position) for position, token in enumerate(TOKENS)]
    order += [("output", N_LAYERS, token, n_positions - 1) for token in OUTPUTS]
    place = {node: index for index, node in enumerate(order)}
    matrix = torch.zeros(len(order), len(order))
    for source, target, weight in EDGES:
        matrix[place[target], place[source]] = weight
    values = FEATURES | UNSELECTED
    return {
        "input_string": "The cat sat",
        "adjacency_matrix": matrix,
        "active_features": torch.tensor([[layer, position, unit] for layer, unit, position in features]),
        "selected_features": torch.tensor(selected),
        "activation_values": torch.tensor([values[key] for key in features]),
        "input_tokens": torch.tensor(TOKENS),
        "logit_probabilities": torch.tensor([probability for _, probability in OUTPUTS.values()]),
    }


def save_2026(path: Path, **changes: Any) -> str:
    """A file of 2026: outputs as pairs, a unified configuration."""
    config = {"n_layers": N_LAYERS, "model_name": "google/gemma-2-2b", "d_model": 2304, "d_vocab": 256_000}
    config |= {"dtype": torch.bfloat16, "original_architecture": "Gemma2ForCausalLM"}
    targets = [LogitTarget(string, token) for token, (string, _) in OUTPUTS.items()]
    with (
        named(type("UnifiedConfig", (Config,), {}), "circuit_tracer.utils.tl_nnsight_mapping.UnifiedConfig") as kind,
        named(LogitTarget, "circuit_tracer.attribution.targets.LogitTarget"),
    ):
        found = {**raw_graph(), "cfg": kind(**config), "logit_targets": targets, "vocab_size": 256_000}
        found = {**found, "scan": "mntss/gemma-scope-transcoders", **changes}
        torch.save({name: value for name, value in found.items() if value is not None}, path)
    return str(path)


def save_2025(path: Path, **changes: Any) -> str:
    """A file of 2025: outputs as a tensor, tokens with a batch dimension, TransformerLens' configuration."""
    dotted = "transformer_lens.HookedTransformerConfig.HookedTransformerConfig"
    with named(type("HookedTransformerConfig", (Config,), {}), dotted) as kind:
        found = raw_graph()
        found["input_tokens"] = found["input_tokens"][None]
        config = kind(n_layers=N_LAYERS, model_name="gemma-2-2b", d_model=2304, d_vocab=256_000, dtype=torch.float32)
        found |= {"cfg": config, "logit_tokens": torch.tensor(list(OUTPUTS)), "scan": ["a/l0", "a/l1"], **changes}
        torch.save(found, path)
    return str(path)
