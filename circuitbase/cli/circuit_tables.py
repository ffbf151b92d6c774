"""What `circuit` and `contrast` print: rows of units and edges, as tables for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import chosen_format, show_rows
from circuitbase.cli.unit_view import SUPERNODE_COLUMNS
from circuitbase.schema.unit_names import input_name

if TYPE_CHECKING:
    from circuitbase.queries.circuit import CircuitEdge, CircuitUnit, GlobalCircuit
    from circuitbase.queries.contrast import Contrast, ContrastEdge, ContrastUnit, SetSummary

UNIT_COLUMNS = ("unit", "label", "presence", "interval", "mean_influence", "traces", "active_traces")
EDGE_COLUMNS = (
    *("source", "target", "presence", "interval", "mean_weight", "mean_share", "mean_influence"),
    *("sign_agreement", "traces"),
)

# What fits a terminal; JSON and CSV have more.
CONTRAST_UNIT_COLUMNS = ("unit", "label", "first_presence", "second_presence", "log_odds", "interval")
CONTRAST_EDGE_COLUMNS = (
    *("source", "target", "first_presence", "second_presence", "log_odds", "interval", "share_difference"),
    *("first_weight", "second_weight"),
)


def show_circuit(
    found: "GlobalCircuit",
    labels: dict[str, str],
    *,
    limit: int,
    output: str | None,
    virtual: dict[tuple[str, str], float] | None = None,
) -> None:
    """Prints a global circuit: two tables, or rows that say which of the two they are of.

    `virtual` adds the virtual weights of edges by (source id, target id).
    """
    chosen = found.rollup
    units = [unit_row(unit, labels) for unit in found.units[:limit]]
    edges = [edge_row(edge, labels) for edge in found.edges[:limit]]
    if virtual is not None:
        edges = [
            {**row, "virtual_weight": virtual.get((edge.source, edge.target))}
            for row, edge in zip(edges, found.edges, strict=False)
        ]
    if chosen_format(output) != "table":
        show_rows([{"row": "unit", **row} for row in units] + [{"row": "edge", **row} for row in edges], output=output)
        return
    click.echo(
        f"Global circuit of {chosen.prompt_set}: {chosen.traces} traces, in at least {found.min_presence:.0%} of them\n"
        f"{chosen.configuration_name}"
    )
    show_rows(units, output=output, title=f"Units ({len(units)} of {found.n_units})", columns=UNIT_COLUMNS)
    show_rows(
        edges,
        output=output,
        title=f"Edges ({len(edges)} of {found.n_edges}, by mean {found.by}; traced edges)",
        columns=EDGE_COLUMNS if virtual is None else (*EDGE_COLUMNS, "virtual_weight"),
    )


def show_supernodes(rows: Sequence[dict[str, Any]], *, output: str | None) -> None:
    """Prints what the supernodes of a circuit are, and what was dropped within them."""
    if chosen_format(output) != "table":
        show_rows([{"row": "supernode", **row} for row in rows], output=output)
        return
    title = "Supernodes, and the sums over the edges within them, which are dropped"
    show_rows(rows, output=output, title=title, columns=SUPERNODE_COLUMNS)


def show_contrast(found: "Contrast", labels: dict[str, str], *, limit: int, output: str | None) -> None:
    """Prints a contrast: the sets themselves, what they share, where they differ; tokens and outputs apart."""
    first, second = found.first.rollup.prompt_set, found.second.rollup.prompt_set
    lists = _contrast_lists(found, labels)
    if chosen_format(output) != "table":
        rows = [set_row(found.first), set_row(found.second)]
        show_rows(
            [{"row": "set", **row} for row in rows]
            + [{"row": name, **row} for name, _, rows in lists for row in rows[:limit]],
            output=output,
        )
        return
    click.echo(f"Contrast of {first} and {second}\n{found.first.rollup.configuration_name}")
    show_rows([set_row(found.first), set_row(found.second)], output=output, title="The two sets")
    for name, title, rows in lists:
        if rows:
            columns = CONTRAST_EDGE_COLUMNS if name.endswith("edge") else CONTRAST_UNIT_COLUMNS
            shown = f"{title} ({len(rows[:limit])} of {len(rows)})"
            show_rows(rows[:limit], output=output, title=shown, columns=columns)
        else:
            click.echo(f"{title}: none")


def _contrast_lists(found: "Contrast", labels: dict[str, str]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Returns (name, title, rows) of each list; tokens and outputs, which differ with the prompts, come last."""
    first = found.first.rollup.prompt_set
    often, apart = f"in at least {found.min_presence:.0%} of the traces of both", "that tell the sets apart"
    more = f"(log odds above 0: more often in {first})"
    shared_units, shared_edges = found.shared_units(), found.shared_edges()
    units, edges = found.differing_units(), found.differing_edges()
    flips = [edge for edge in found.edges if edge.flips]
    of_features = any(unit.kind in ("Feature", "LayerError", "Supernode") for unit in found.units)
    parts = "Features and errors" if of_features else "Heads, MLPs and neurons"

    def of_units(chosen: "list[ContrastUnit]", *, tokens: bool) -> list[dict[str, Any]]:
        return [contrast_unit_row(unit, labels) for unit in chosen if unit.is_apart == tokens]

    def of_edges(chosen: "list[ContrastEdge]", *, tokens: bool) -> list[dict[str, Any]]:
        return [contrast_edge_row(edge, labels) for edge in chosen if edge.is_apart == tokens]

    return [
        ("shared unit", f"{parts} {often}", of_units(shared_units, tokens=False)),
        ("shared edge", f"Traced edges {often}", of_edges(shared_edges, tokens=False)),
        ("differing unit", f"{parts} {apart} {more}", of_units(units, tokens=False)),
        ("differing edge", f"Traced edges {apart} {more}", of_edges(edges, tokens=False)),
        ("flipping edge", "Traced edges whose sign is settled in both, and opposite", of_edges(flips, tokens=False)),
        ("shared token or output", f"Tokens and outputs {often}", of_units(shared_units, tokens=True)),
        ("differing token or output", f"Tokens and outputs {apart} {more}", of_units(units, tokens=True)),
        ("differing token edge", f"Traced edges from tokens or to outputs {apart}", of_edges(edges, tokens=True)),
    ]


def unit_row(unit: "CircuitUnit", labels: dict[str, str]) -> dict[str, Any]:
    """Returns one unit of a circuit as a row."""
    return {
        "unit": unit.name,
        "label": labels.get(unit.id),
        "presence": unit.presence.value,
        "interval": _interval(unit.presence.low, unit.presence.high),
        "mean_influence": unit.mean_influence,
        "traces": unit.traced,
        "active_traces": unit.active_traces,
    }


def edge_row(edge: "CircuitEdge", labels: dict[str, str]) -> dict[str, Any]:
    """Returns one edge of a circuit as a row."""
    return {
        "source": _labelled(edge.source_name, labels.get(edge.source)),
        "target": _labelled(input_name(edge.target_name, edge.port), labels.get(edge.target)),
        "presence": edge.presence.value,
        "interval": _interval(edge.presence.low, edge.presence.high),
        "given_target": edge.conditional_presence.value,
        "mean_weight": edge.mean_weight,
        "mean_share": edge.mean_share,
        "mean_influence": edge.mean_influence,
        "sign_agreement": edge.sign_agreement.value,
        "traces": edge.traces,
    }


def contrast_unit_row(unit: "ContrastUnit", labels: dict[str, str]) -> dict[str, Any]:
    """Returns one unit of a contrast as a row."""
    return {
        "unit": unit.name,
        "label": labels.get(unit.id),
        "first_presence": unit.presence.first.value,
        "second_presence": unit.presence.second.value,
        "difference": unit.presence.difference,
        "log_odds": unit.presence.log_odds.value,
        "interval": _interval(unit.presence.log_odds.low, unit.presence.log_odds.high),
        "first_influence": unit.first_influence,
        "second_influence": unit.second_influence,
    }


def contrast_edge_row(edge: "ContrastEdge", labels: dict[str, str]) -> dict[str, Any]:
    """Returns one edge of a contrast as a row."""
    return {
        "source": _labelled(edge.source_name, labels.get(edge.source)),
        "target": _labelled(input_name(edge.target_name, edge.port), labels.get(edge.target)),
        "first_presence": edge.presence.first.value,
        "second_presence": edge.presence.second.value,
        "difference": edge.presence.difference,
        "log_odds": edge.presence.log_odds.value,
        "interval": _interval(edge.presence.log_odds.low, edge.presence.log_odds.high),
        "first_share": edge.first_share,
        "second_share": edge.second_share,
        "share_difference": edge.share_difference,
        "first_weight": edge.first_weight,
        "second_weight": edge.second_weight,
        "sign_flips": edge.flips,
    }


def set_row(summary: "SetSummary") -> dict[str, Any]:
    """Returns what a set is like: lengths and active features must be alike for a fair contrast."""
    return {
        "set": summary.rollup.prompt_set,
        "traces": summary.rollup.traces,
        "mean_tokens": summary.mean_tokens,
        "mean_active_features": summary.mean_active_features,
        "mean_nodes": summary.mean_nodes,
        "mean_edges": summary.mean_edges,
        "mean_replacement_score": summary.mean_replacement_score,
    }


def _interval(low: float, high: float) -> str:
    return f"{low:.2f} to {high:.2f}"


def _labelled(name: str, label: str | None) -> str:
    return f"{name} ({label})" if label else name
