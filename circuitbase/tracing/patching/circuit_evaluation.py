"""How faithful circuits are to their model: one circuit with its complement, or a curve over sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from circuitbase.graph.faithfulness import Faithfulness, faithfulness
from circuitbase.graph.faithfulness_curve import FRACTIONS, cmd, cpr, grid_counts
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.patching.circuit_prompts import CircuitPrompts, circuit_metrics
from circuitbase.tracing.patching.circuit_selection import greedy_edges, live_edges, top_edges


@dataclass(frozen=True)
class Bounds:
    """The metric of every pair in the full model and in the one of no edges."""

    full: Float64[np.ndarray, " pair"]
    empty: Float64[np.ndarray, " pair"]


@dataclass(frozen=True)
class EvaluatedCircuit:
    """A circuit's faithfulness and that of its complement (the model without the circuit: low is good).

    `n_live` is the number of its edges from which others lead to the logits, `metrics` the metric of every pair.
    """

    kept: Bool[np.ndarray, "source receiver"]
    metrics: Float64[np.ndarray, " pair"]
    n_edges: int
    n_live: int
    circuit: Faithfulness
    complement: Faithfulness


@dataclass(frozen=True)
class CurvePoint:
    """A circuit of the grid: the nominal fraction of edges, how many that is, and its faithfulness."""

    fraction: float
    n_edges: int
    circuit: Faithfulness


@dataclass(frozen=True)
class Curve:
    """Faithfulness over MIB's sizes, of circuits by score (`signed`) and by |score|.

    CPR is of the signed, CMD of the absolute ones, as in MIB: two rankings, so two circuits at each size. Both are
    None where no faithfulness is given.
    """

    signed: tuple[CurvePoint, ...]
    absolute: tuple[CurvePoint, ...]
    cpr: float | None
    cmd: float | None


def bounds(model: ComponentModel, batches: Sequence[CircuitPrompts]) -> Bounds:
    """Returns the metric with all edges and with none."""
    edges = model.graph.edges
    return Bounds(circuit_metrics(model, batches, edges), circuit_metrics(model, batches, np.zeros_like(edges)))


def evaluated(
    model: ComponentModel,
    batches: Sequence[CircuitPrompts],
    kept: Bool[np.ndarray, "source receiver"],
    *,
    between: Bounds,
    seed: int = 0,
) -> EvaluatedCircuit:
    """Returns how faithful a circuit is, and its complement; `seed` is the bootstrap's."""
    found, without = (circuit_metrics(model, batches, mask) for mask in (kept, model.graph.edges & ~kept))
    return EvaluatedCircuit(
        kept=kept,
        metrics=found,
        n_edges=int(kept.sum()),
        n_live=int(live_edges(model.graph, kept).sum()),
        circuit=faithfulness(found, between.full, between.empty, seed=seed),
        complement=faithfulness(without, between.full, between.empty, seed=seed),
    )


def curve(
    model: ComponentModel,
    batches: Sequence[CircuitPrompts],
    scores: Float[np.ndarray, "source receiver"],
    *,
    between: Bounds,
    greedy: bool = False,
    seed: int = 0,
) -> Curve:
    """Returns faithfulness over the grid, of the top or the greedily chosen edges."""
    choose = greedy_edges if greedy else top_edges
    points = {
        absolute: tuple(
            CurvePoint(
                fraction,
                n,
                faithfulness(
                    circuit_metrics(model, batches, choose(model.graph, scores, n=n, absolute=absolute)),
                    between.full,
                    between.empty,
                    seed=seed,
                ),
            )
            for fraction, n in zip(FRACTIONS, grid_counts(model.graph.n_edges), strict=True)
        )
        for absolute in (False, True)
    }
    signed, absolute = (
        [point.circuit.f for point in points[kind] if point.circuit.f is not None] for kind in (False, True)
    )
    whole = len(signed) == len(FRACTIONS)
    return Curve(points[False], points[True], cpr(signed) if whole else None, cmd(absolute) if whole else None)
