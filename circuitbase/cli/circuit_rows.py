"""Rows of circuits of components: their faithfulness, their edges, every pair, a curve over sizes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from circuitbase.graph.faithfulness import Faithfulness
    from circuitbase.pages.faithfulness_plot import FaithfulnessLine
    from circuitbase.tracing.components.component_graph import ComponentGraph
    from circuitbase.tracing.patching.circuit_evaluation import Bounds, Curve, EvaluatedCircuit


def faithfulness_row(found: "EvaluatedCircuit") -> dict[str, Any]:
    """Returns the one row of a circuit."""
    return {
        "edges": found.n_edges,
        "live": found.n_live,
        **_faithfulness(found.circuit),
        "variance": found.circuit.variance,
        "complement": found.complement.f,
        "m_circuit": found.circuit.m_circuit,
        "m_model": found.circuit.m_full,
        "m_empty": found.circuit.m_empty,
    }


def curve_rows(found: "Curve") -> list[dict[str, Any]]:
    """Returns a row for every ranking and size."""
    return [
        {
            "ranking": ranking,
            "fraction": point.fraction,
            "edges": point.n_edges,
            **_faithfulness(point.circuit),
            "variance": point.circuit.variance,
            "m_circuit": point.circuit.m_circuit,
        }
        for ranking, points in (("signed", found.signed), ("absolute", found.absolute))
        for point in points
    ]


def curve_lines(found: "Curve") -> "tuple[FaithfulnessLine, ...]":
    """Returns both rankings as they are drawn."""
    from circuitbase.pages.faithfulness_plot import FaithfulnessLine

    named = {
        f"by score{_area('CPR', found.cpr)}": found.signed,
        f"by |score|{_area('CMD', found.cmd)}": found.absolute,
    }
    return tuple(
        FaithfulnessLine(
            name,
            tuple(point.fraction for point in points),
            tuple(point.circuit.f for point in points),
            tuple(point.circuit.low for point in points),
            tuple(point.circuit.high for point in points),
        )
        for name, points in named.items()
    )


def edge_rows(graph: "ComponentGraph", kept: "np.ndarray", scores: "np.ndarray") -> list[dict[str, Any]]:
    """Returns a row per edge of a circuit, the largest score first."""
    found = [
        {
            "source": graph.source_names[source],
            "receiver": graph.receiver_names[receiver],
            "score": float(scores[source, receiver]),
        }
        for source, receiver in zip(*kept.nonzero(), strict=True)
    ]
    return sorted(found, key=lambda row: -abs(row["score"]))


def pair_rows(found: "EvaluatedCircuit", between: "Bounds") -> list[dict[str, Any]]:
    """Returns a row per pair; its faithfulness is over the common denominator, so that their mean is the circuit's."""
    each = found.circuit.per_prompt
    return [
        {
            "pair": pair,
            "m_circuit": float(found.metrics[pair]),
            "m_model": float(between.full[pair]),
            "m_empty": float(between.empty[pair]),
            "faithfulness": None if each is None else each[pair],
        }
        for pair in range(len(found.metrics))
    ]


def _faithfulness(found: "Faithfulness") -> dict[str, Any]:
    return {"faithfulness": found.f, "low": found.low, "high": found.high}


def _area(name: str, value: float | None) -> str:
    return "" if value is None else f" ({name} {value:.3g})"
