"""Edge scores as a JSON file: `{"edge name": [score per pair]}`, with circuitbase's sign.

Scores approximate the metric on the clean prompt minus the metric with the edge ablated, per pair and divided by
nothing: positive supports the metric.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from circuitbase.errors import InputError
from circuitbase.tracing.components.component_graph import ComponentGraph
from circuitbase.tracing.components.edge_scores import EdgeScores


def write_scores(found: EdgeScores, path: str | Path) -> None:
    """Writes every edge with its score on each pair, in the order of `ComponentGraph.edge_names`."""
    by_edge = found.scores[:, found.graph.edges].T.tolist()
    _write_json(dict(zip(found.graph.edge_names(), by_edge, strict=True)), Path(path))


def read_scores(path: str | Path, graph: ComponentGraph) -> Float[np.ndarray, "pair source receiver"]:
    """Returns the scores of a file, 0 where there is no edge.

    Raises InputError unless it has exactly the edges of the model, each with one finite number per pair.
    """
    given = read_json(Path(path), what="the file of scores")
    wanted = list(graph.edge_names())
    check_edges(given, wanted, path=Path(path))
    try:
        by_edge = np.array([given[name] for name in wanted], dtype=np.float64)
    except (ValueError, TypeError):
        by_edge = np.zeros(0)
    if by_edge.ndim != 2 or not by_edge.size or not np.isfinite(by_edge).all():
        raise InputError(
            f"{path} should give each edge a list with one finite score per pair, and as many for every edge; "
            "write it anew with `circuitbase attribute`"
        )
    scores = np.zeros((by_edge.shape[1], *graph.edges.shape))
    scores[:, graph.edges] = by_edge.T
    return scores


def read_json(path: Path, *, what: str) -> dict[str, Any]:
    """Returns the object in a JSON file; raises InputError if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise InputError(f"{what} {path} should hold JSON, but cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise InputError(f"{what} {path} should hold a JSON object, got a {type(found).__name__}")
    return found


def check_edges(given: dict[str, Any], wanted: list[str], *, path: Path) -> None:
    """Raises InputError unless the names are exactly those of the edges wanted."""
    missing, further = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if missing or further:
        what = f"lacks {missing[0]}" if missing else f"has {further[0]}"
        raise InputError(
            f"{path} should have exactly the model's {len(wanted)} edges, but {what} "
            f"({len(missing)} missing, {len(further)} unknown); take scores of this model"
        )


def _write_json(content: dict[str, Any], path: Path) -> None:
    try:
        path.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another place") from error
