"""Files of other tools as traces, and traces as sets of named things that compare."""

import json
from pathlib import Path
from typing import Any

import pytest

from circuitbase.errors import GraphFileError
from circuitbase.graph.trace import Trace
from circuitbase.ingest.foreign.importing import ImportOptions, imported_trace
from circuitbase.schema.kinds import NodeKind

Node = tuple[str, int, int, int]
KINDS = {"feature": 1, "error": 2, "embedding": 0, "output": 3}


def written(found: dict[str, Any], folder: Path, name: str = "graph.json") -> str:
    """The place of a file that holds a document; bare NaN is written where it is."""
    path = folder / name
    path.write_text(json.dumps(found))
    return str(path)


def trace_of(found: dict[str, Any], folder: Path, options: ImportOptions | None = None) -> Trace:
    return imported_trace(written(found, folder), options or ImportOptions())


def refusal(location: str) -> str:
    with pytest.raises(GraphFileError) as caught:
        imported_trace(location, ImportOptions())
    said = str(caught.value)
    assert said.startswith(location)
    assert "\n" not in said
    return said


def nodes(trace: Trace) -> list[Node]:
    """(kind, layer, unit, position) of each node."""
    graph = trace.graph
    names = {number: name for name, number in KINDS.items()}
    columns = (graph.node_kind, graph.node_layer, graph.node_unit, graph.node_position)
    return [
        (names.get(kind, NodeKind(kind).label), layer, unit, position)
        for kind, layer, unit, position in zip(*(column.tolist() for column in columns), strict=True)
    ]


def edges(trace: Trace) -> dict[tuple[Node, Node], float]:
    """The weight of each edge by its ends."""
    named, graph = nodes(trace), trace.graph
    ends = zip(graph.edge_source.tolist(), graph.edge_target.tolist(), graph.edge_weight.tolist(), strict=True)
    return {(named[source], named[target]): weight for source, target, weight in ends}
