"""What `circuit` prints below a circuit: how often its paths are realised, and how far its numbers can be trusted."""

from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import chosen_format, show_rows

if TYPE_CHECKING:
    from circuitbase.cli.circuit_reading import ReadCircuit
    from circuitbase.evaluation.completed_edges import CompletedEdge
    from circuitbase.queries.circuit_reliability import EdgeIntervals
    from circuitbase.queries.intervals import Interval

FURTHER = 100


def show_trust(found: "ReadCircuit", *, limit: int, output: str | None) -> None:
    """Prints paths, and what was asked for of intervals and coverage: tables, or rows that say which they are.

    A CSV has one header, so it holds the circuit alone.
    """
    if chosen_format(output) == "csv":
        return
    names = _names(found)
    paths = [
        {
            "start": names[path.first[0]],
            "middle": names[path.first[1]],
            "end": names[path.second[1]],
            "support": path.support.value,
            "interval": _text(path.support),
            "traces": path.traces,
            "edges_allow": path.allowed,
        }
        for path in found.paths.found[:limit]
    ]
    intervals = [_interval_row(each, names) for each in found.intervals]
    completed = [_completed_row(each, names) for each in found.completed]
    trust = _trust_row(found)
    if chosen_format(output) != "table":
        rows = [{"row": "path", **row} for row in paths] + [{"row": "interval", **row} for row in intervals]
        rows += [{"row": "completed", **row} for row in completed]
        show_rows([*rows, *([{"row": "coverage", **trust}] if trust else [])], output=output)
        return
    share = found.paths.share_realised
    if share is not None:
        click.echo(
            f"{found.paths.realised} of the {found.paths.paths} paths over these edges ({share:.0%}) are realised, "
            f"through the same trace nodes, in at least one of {found.paths.traces} traces."
        )
        show_rows(paths, output=output, title=f"Paths ({len(paths)} of {found.paths.realised}, by support)")
    if intervals:
        show_rows(intervals, output=output, title="95 % intervals of the edges, clusters resampled")
    if completed:
        show_rows(completed, output=output, title="Edges measured again, unpruned; 95 % intervals by cluster")
    for sentence in _sentences(found):
        click.echo(sentence)


def _interval_row(each: "EdgeIntervals", names: dict[str, str]) -> dict[str, Any]:
    source, target, _ = each.edge
    return {
        "source": names[source],
        "target": names[target],
        "presence": _text(each.presence),
        "mean_influence": _text(each.mean_influence),
        "mean_share": _text(each.mean_share),
        "mean_weight": _text(each.mean_weight),
    }


def _completed_row(each: "CompletedEdge", names: dict[str, str]) -> dict[str, Any]:
    source, target, _ = each.edge
    return {
        "source": names[source],
        "target": names[target],
        "traced": each.traced,
        "active": each.active,
        "kept": each.kept,
        "mean_weight": _text(each.mean_weight),
        "mean_share": _text(each.mean_share),
        "sign_agreement": each.sign_agreement.value,
    }


def _trust_row(found: "ReadCircuit") -> dict[str, Any]:
    if found.coverage is None or found.halves is None:
        return {}
    return {
        "coverage": found.coverage.coverage,
        "edges": found.coverage.edges,
        "unseen": found.coverage.unseen,
        "new_per_100": found.coverage.new_edges(FURTHER),
        "split_half_influence": found.halves.influence,
        "split_half_overlap": found.halves.overlap,
        "clusters": found.halves.clusters,
    }


def _sentences(found: "ReadCircuit") -> list[str]:
    coverage, halves = found.coverage, found.halves
    if coverage is None or halves is None or coverage.coverage is None:
        return []
    said = [
        f"Coverage: of the edges of one more trace, {coverage.coverage:.1%} are expected to be among the "
        f"{coverage.edges:,} seen in these {coverage.traces} (Good-Turing); {FURTHER} further prompts would show about "
        f"{coverage.new_edges(FURTHER):,.0f} new ones, and at least {coverage.unseen:,.0f} are unseen (Chao)."
    ]
    if halves.influence is None or halves.overlap is None:
        said.append(f"Halves cannot be compared: there are {halves.clusters} clusters, and at least two are needed.")
    else:
        said.append(
            f"Reliability: mean influences of two halves of the {halves.clusters} clusters correlate at "
            f"{halves.influence:.3f} (stepped up to all); {halves.overlap:.0%} of the edges that reach the minimum "
            "presence in one half reach it in both."
        )
    return said


def _names(found: "ReadCircuit") -> dict[str, str]:
    names = {}
    for edge in found.circuit.edges:
        for id, name in ((edge.source, edge.source_name), (edge.target, edge.target_name)):
            label = found.labels.get(id)
            names[id] = f"{name} ({label})" if label else name
    return names


def _text(interval: "Interval") -> str:
    return f"{interval.value:.3g} ({interval.low:.3g} to {interval.high:.3g})"
