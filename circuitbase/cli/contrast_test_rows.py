"""What `contrast --test` prints: the edges that differ, and how they were tested."""

from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import chosen_format, show_rows
from circuitbase.schema.unit_names import input_name

if TYPE_CHECKING:
    from circuitbase.queries.contrast_over_traces import ContrastedEdge, TraceContrast

COLUMNS = (
    *("source", "target", "first_share", "second_share", "effect", "p", "q", "first_presence", "second_presence"),
    "sign_flips",
)


def show_tested(found: "TraceContrast", labels: dict[str, str], *, rate: float, limit: int, output: str | None) -> None:
    """Prints the discoveries, tokens and outputs apart, and the test; rows that are no table hold every edge."""
    if chosen_format(output) != "table":
        test = {
            "first": found.first.name,
            "second": found.second.name,
            "first_traces": len(found.first.traces),
            "second_traces": len(found.second.traces),
            "edges": len(found.edges),
            "permutations": found.permutations,
            "exact": found.exact,
            "paired_clusters": found.paired_clusters,
            "unmatched": found.unmatched,
        }
        rows = [{"row": "edge", **edge_row(edge, labels)} for edge in found.edges]
        show_rows([{"row": "test", **test}, *rows], output=output)
        return
    discoveries = found.discoveries(rate=rate)
    click.echo(f"Contrast of {found.first.name} and {found.second.name}, over single traces")
    click.echo(found.first.configuration_name)
    click.echo(_how(found))
    for title, apart in (("Edges", False), ("Edges from tokens or to outputs", True)):
        rows = [edge_row(edge, labels) for edge in discoveries if edge.is_apart == apart]
        if rows:
            shown = f"{title} that differ at a false-discovery rate of {rate:g} ({len(rows[:limit])} of {len(rows)})"
            show_rows(rows[:limit], output=output, title=shown, columns=COLUMNS)
        else:
            click.echo(f"{title}: none differs at a false-discovery rate of {rate:g}")


def edge_row(edge: "ContrastedEdge", labels: dict[str, str]) -> dict[str, Any]:
    """Returns one tested edge as a row."""
    return {
        "source": _labelled(edge.source_facts.name, labels.get(edge.source)),
        "target": _labelled(input_name(edge.target_facts.name, edge.port), labels.get(edge.target)),
        "first_share": edge.first_share,
        "second_share": edge.second_share,
        "effect": edge.effect,
        "p": edge.p,
        "q": edge.q,
        "first_presence": edge.first_presence.value,
        "second_presence": edge.second_presence.value,
        "sign_flips": edge.flips,
    }


def _how(found: "TraceContrast") -> str:
    ways = f"all {found.permutations:,} ways" if found.exact else f"{found.permutations:,} drawn ways"
    said = (
        f"{len(found.first.traces)} against {len(found.second.traces)} traces, {len(found.edges)} edges; labels "
        f"permuted over clusters in {ways}"
    )
    if found.paired_clusters:
        said += f", within the {found.paired_clusters} clusters that are on both sides"
    if found.unmatched:
        said += f"; {found.unmatched} traces left out to match lengths"
    return f"{said}. Effect is Hedges' g of the share per target node; q is p after Benjamini-Hochberg."


def _labelled(name: str, label: str | None) -> str:
    return f"{name} ({label})" if label else name
