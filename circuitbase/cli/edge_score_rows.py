"""What `attribute` prints: what was asked, the metric on both sides, the completeness gap, the strongest edges."""

from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import cell, chosen_format, show_rows

if TYPE_CHECKING:
    from circuitbase.tracing.components.edge_scores import EdgeScores

COLUMNS = ("edge", "mean", "deviation", "same_sign")


def show_scores(
    found: "EdgeScores", *, model: str, metric: str | None, mean_over: str | None, output: str | None, top: int
) -> None:
    """Prints scores: a summary and the strongest edges, or every edge as CSV."""
    summary = summary_row(found, model=model, metric=metric, mean_over=mean_over)
    match chosen_format(output):
        case "csv":
            show_rows(edge_rows(found, top=None), output="csv", columns=COLUMNS)
        case "json":
            show_rows([{**summary, "strongest_edges": edge_rows(found, top=top)}], output="json")
        case "table":
            for name, value in summary.items():
                if value is not None:
                    click.echo(f"{name.replace('_', ' '):<25} {cell(value)}")
            if top:
                show_rows(edge_rows(found, top=top), output="table", title="Strongest edges", columns=COLUMNS)


def summary_row(found: "EdgeScores", *, model: str, metric: str | None, mean_over: str | None) -> dict[str, Any]:
    """Returns what was asked and found, without edges; None where the method has no such thing.

    Metrics and the gap are means over pairs, `completeness_gap` of its absolute values; `gap_share` is their sum
    over that of the metric's absolute differences.
    """
    options = found.options
    ablated = "corrupted_metric" if options.ablation == "patching" else "ablated_metric"
    means = options.ablation in ("mean", "positional-mean")
    return {
        "model": model,
        "pairs": found.n_pairs,
        "edges": found.graph.n_edges,
        "method": options.method,
        "steps": options.steps,
        "rule": options.rule,
        "ablation": options.ablation,
        "mean_over": (mean_over or "the clean prompts") if means else None,
        "metric": metric or options.metric,
        "clean_metric": None if found.clean is None else float(found.clean.mean()),
        ablated: None if found.ablated is None else float(found.ablated.mean()),
        "completeness_gap": None if found.gap is None else float(abs(found.gap).mean()),
        "gap_share": found.gap_share,
    }


def edge_rows(found: "EdgeScores", *, top: int | None) -> list[dict[str, Any]]:
    """Returns the strongest edges (None: all): mean, deviation and share of pairs that have the mean's sign."""
    sources, receivers = found.graph.source_names, found.graph.receiver_names
    return [
        {
            "edge": f"{sources[source]}->{receivers[receiver]}",
            "mean": float(found.mean[source, receiver]),
            "deviation": float(found.deviation[source, receiver]),
            "same_sign": float(found.share_of_sign[source, receiver]),
        }
        for source, receiver in found.strongest(found.graph.n_edges if top is None else top)
    ]
