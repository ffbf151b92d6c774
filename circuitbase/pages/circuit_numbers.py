"""What an interactive page says of a unit or an edge: names of numbers, and the numbers as text."""

from circuitbase.queries.circuit import CircuitEdge, CircuitUnit
from circuitbase.queries.intervals import Interval


def unit_numbers(unit: CircuitUnit) -> tuple[tuple[str, str], ...]:
    """Returns (name, value) of each number of a unit; tokens, outputs and errors have no activation."""
    numbers = (
        ("presence", _share(unit.presence)),
        ("traces with it after pruning", f"{unit.traced}"),
        ("mean influence", f"{unit.mean_influence:.3g} ± {unit.influence_deviation:.2g}"),
    )
    if not unit.active_traces:
        return numbers
    return (
        *numbers,
        ("traces where it is active", f"{unit.active_traces}"),
        ("mean activation where active", f"{unit.mean_activation:.3g}"),
    )


def edge_numbers(edge: CircuitEdge) -> tuple[tuple[str, str], ...]:
    """Returns (name, value) of each number of an edge."""
    twera = edge.target_weighted_effect
    return (
        ("presence", _share(edge.presence)),
        ("presence where the target is", _share(edge.conditional_presence)),
        ("traces", f"{edge.traces}"),
        ("mean influence", f"{edge.mean_influence:.3g}"),
        ("mean weight where present", f"{edge.mean_weight:+.3g} ± {edge.weight_deviation:.2g}"),
        ("mean share of its target's input", f"{edge.mean_share:.3g}"),
        ("sign agreement", _share(edge.sign_agreement)),
        ("at one position", f"{edge.same_position:.0%} of its traces"),
        ("target-weighted effect", "target never active" if twera is None else f"{twera:+.3g}"),
    )


def _share(interval: Interval) -> str:
    return f"{interval.value:.0%} ({interval.low:.0%} to {interval.high:.0%})"
