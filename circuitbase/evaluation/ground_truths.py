"""Models whose circuits are known, with the pairs on which methods are asked for them."""

from dataclasses import dataclass

import torch

from circuitbase.errors import InputError
from circuitbase.evaluation.benchmark_options import GROUND_TRUTH_NAMES, ONE_TEMPLATE, PROGRAM_NAMES, TOY_NAMES
from circuitbase.evaluation.edge_reference import patched_effects
from circuitbase.evaluation.hand_set import gate, linear_model
from circuitbase.evaluation.small_files import packaged_model
from circuitbase.evaluation.small_transformer import SmallTransformer
from circuitbase.evaluation.structural_edges import structural_edges
from circuitbase.evaluation.toy_pairs import INDUCTION_EDGES, toy_pairs
from circuitbase.evaluation.truth_pairs import TruthPairs, gate_pairs, linear_pairs, program_pairs

SMALLEST_EFFECT = 1e-6
"""Of the logit difference; what saturated softmaxes let through is far below."""


@dataclass(frozen=True)
class GroundTruth:
    """A model in float64, pairs, and what is known of its edges.

    Two sets, as a structural edge may carry nothing that differs between these pairs. A trained toy has no structure
    by weights, and true edges only where its mechanism names them.
    """

    name: str
    model: SmallTransformer
    pairs: TruthPairs
    structural: frozenset[str] | None
    """Edges over which the weights pass anything."""
    true_edges: frozenset[str] | None
    """Edges whose exact resample patch changes the logit difference of some pair; of a toy those of its mechanism."""


def ground_truth(name: str, *, seed: int = 0) -> GroundTruth:
    """Returns a ground truth by name; `seed` draws the pairs where they are drawn.

    Raises InputError for a name there is not.
    """
    if name not in GROUND_TRUTH_NAMES:
        raise InputError(f"a ground truth must be one of {', '.join(GROUND_TRUTH_NAMES)}, got {name!r}")
    if name in TOY_NAMES:
        model = packaged_model(name, dtype=torch.float64).model
        known = frozenset(INDUCTION_EDGES) if name == "induction" else None
        return GroundTruth(name, model, toy_pairs(name, seed=seed), structural=None, true_edges=known)
    model, pairs, structural = _program(name, seed) if name in (*PROGRAM_NAMES, ONE_TEMPLATE) else _hand_set(name)
    return GroundTruth(name, model, pairs, structural, true_edges=effective_edges(model, pairs))


def effective_edges(model: SmallTransformer, pairs: TruthPairs) -> frozenset[str]:
    """Returns the edges whose resample patch changes the logit difference of any pair by `SMALLEST_EFFECT` or more."""
    effects = patched_effects(model, pairs.clean, pairs.corrupted, correct=pairs.correct, wrong=pairs.wrong)
    return frozenset(edge for edge, effect in effects.items() if effect.abs().max() >= SMALLEST_EFFECT)


def _program(name: str, seed: int) -> tuple[SmallTransformer, TruthPairs, frozenset[str]]:
    file = "indirect-object" if name == ONE_TEMPLATE else name
    stored = packaged_model(file, dtype=torch.float64)
    return stored.model, program_pairs(name, seed=seed), frozenset(stored.facts["edges"])


def _hand_set(name: str) -> tuple[SmallTransformer, TruthPairs, frozenset[str]]:
    if name == "linear":
        built, pairs = linear_model(dtype=torch.float64), linear_pairs()
    else:
        built = gate("or" if name.startswith("or") else "and", dtype=torch.float64)
        pairs = gate_pairs("denoising" if name.endswith("denoising") else "noising")
    return built.model, pairs, frozenset(structural_edges(built.model, built.directions))
