"""What `trace` prints: a summary, where the trace ends, and its strongest parts."""

from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import cell, chosen_format, show_rows

if TYPE_CHECKING:
    from circuitbase.graph.trace import Trace


def show(found: "Trace", *, output: str | None, top: int) -> None:
    """Prints a trace: its summary and strongest parts, or every edge as CSV."""
    from circuitbase.cli.head_rows import head_rows
    from circuitbase.cli.link_rows import explained_rows, link_rows, pair_rows
    from circuitbase.cli.silent_rows import silent_rows
    from circuitbase.cli.trace_rows import (
        EDGE_COLUMNS,
        NODE_COLUMNS,
        compact,
        edge_rows,
        node_rows,
        output_rows,
        summary_row,
    )

    summary, outputs, silent = summary_row(found), output_rows(found), silent_rows(found)
    match chosen_format(output):
        case "csv":
            show_rows(edge_rows(found, top=None), output="csv", columns=EDGE_COLUMNS)
        case "json":
            strongest = {"strongest_nodes": node_rows(found, top=top), "strongest_edges": edge_rows(found, top=top)}
            heads = {} if found.graph.head_edge is None else {"strongest_head_parts": head_rows(found, top=top)}
            silent_nodes = {"silent_nodes": silent} if silent else {}
            links = {} if found.graph.pair_link is None else {"attention_links": explained_rows(found, top=top)}
            show_rows([{**summary, "outputs": outputs, **strongest, **heads, **links, **silent_nodes}], output="json")
        case "table":
            for name, value in summary.items():
                if value is not None:
                    click.echo(f"{name.replace('_', ' '):<25} {' '.join(value) if name == 'tokens' else cell(value)}")
            show_rows(_without_empty(outputs), output="table", title="Outputs")
            if top == 0:
                return
            show_rows(node_rows(found, top=top), output="table", title="Strongest nodes", columns=NODE_COLUMNS)
            show_rows(compact(edge_rows(found, top=top)), output="table", title="Strongest edges")
            if found.graph.head_edge is not None:
                show_rows(
                    compact(head_rows(found, top=top)), output="table", title="Strongest edges by their last head"
                )
            if found.graph.pair_link is not None:
                show_rows(link_rows(found), output="table", title="Attention links")
                show_rows(pair_rows(found, top=top), output="table", title="Pairs that made heads look there")
            if silent:
                show_rows(
                    silent[:top], output="table", title=f"Silent nodes ({min(top, len(silent))} of {len(silent)})"
                )


def _without_empty(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the rows without the columns that hold nothing in any of them."""
    filled = {name for row in rows for name, value in row.items() if value is not None}
    return [{name: value for name, value in row.items() if name in filled} for row in rows]
