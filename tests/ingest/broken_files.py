"""Trace files with one thing wrong each."""

import json
from collections.abc import Callable

import numpy as np
from safetensors.numpy import save

from circuitbase.graph.trace import Trace
from circuitbase.schema.identity import canonical_json
from circuitbase.store.trace_file import METADATA_KEY, array_digest, to_bytes
from tests.synthetic import synthetic_trace, with_arrays


def _truncated(trace: Trace) -> bytes:
    content = to_bytes(trace)
    return content[: len(content) // 2]


def _short_header(trace: Trace) -> bytes:
    return to_bytes(trace)[:100]


def _empty(trace: Trace) -> bytes:
    return b""


def _other_version(trace: Trace) -> bytes:
    return _with_metadata(trace, file_version=99)


def _altered_metadata(trace: Trace) -> bytes:
    return _with_metadata(trace, dtype="float64")


def _altered_number(trace: Trace) -> bytes:
    content = bytearray(to_bytes(trace))
    content[-2] ^= 1
    return bytes(content)


def _missing_node(trace: Trace) -> bytes:
    source = trace.graph.edge_source.copy()
    source[3] = trace.graph.n_nodes
    return to_bytes(with_arrays(trace, edge_source=source))


def _negative_node(trace: Trace) -> bytes:
    source = trace.graph.edge_source.copy()
    source[3] = -1
    return to_bytes(with_arrays(trace, edge_source=source))


def _nan_weight(trace: Trace) -> bytes:
    weight = trace.graph.edge_weight.copy()
    weight[3] = np.nan
    return to_bytes(with_arrays(trace, edge_weight=weight))


def _unsorted_nodes(trace: Trace) -> bytes:
    graph = trace.graph
    swapped = {name: column.copy() for name, column in graph.arrays().items() if name.startswith("node_")}
    for column in swapped.values():
        column[[0, 1]] = column[[1, 0]]
    return to_bytes(with_arrays(trace, **swapped))


def _unsorted_edges(trace: Trace) -> bytes:
    reversed_edges = {n: c[::-1].copy() for n, c in trace.graph.arrays().items() if n.startswith("edge_")}
    return to_bytes(with_arrays(trace, **reversed_edges))


def _columns_of_other_lengths(trace: Trace) -> bytes:
    arrays = trace.graph.arrays()
    return _with_arrays({**arrays, "edge_influence": arrays["edge_influence"][:-1].copy()}, trace)


def _missing_column(trace: Trace) -> bytes:
    return _with_arrays({name: it for name, it in trace.graph.arrays().items() if name != "edge_weight"}, trace)


def _described(trace: Trace) -> dict[str, object]:
    content = to_bytes(trace)
    length = int.from_bytes(content[:8], "little")
    found: dict[str, object] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][METADATA_KEY])
    return found


def _with_metadata(trace: Trace, **changed: object) -> bytes:
    described = {**_described(trace), **changed}
    return save(trace.graph.arrays(), metadata={METADATA_KEY: canonical_json(described)})


def _with_arrays(arrays: dict[str, np.ndarray], trace: Trace) -> bytes:
    """Returns a file with other columns, and with the digest that they have."""
    described = {**_described(trace), "array_digest": array_digest(arrays)}
    return save(arrays, metadata={METADATA_KEY: canonical_json(described)})


# what is wrong -> (the bytes, what the sentence must say)
BROKEN: dict[str, tuple[Callable[[Trace], bytes], str]] = {
    "empty": (_empty, "is damaged or truncated"),
    "truncated": (_truncated, "is damaged or truncated"),
    "truncated in its header": (_short_header, "is damaged or truncated"),
    "of another version": (_other_version, "has trace file version 99"),
    "with altered metadata": (_altered_metadata, "it was altered"),
    "with an altered number": (_altered_number, "do not match the digest"),
    "with an edge from a missing node": (_missing_node, "edge_source must name one of the"),
    "with an edge from a negative node": (_negative_node, "edge_source must name one of the"),
    "with a nan weight": (_nan_weight, "edge_weight must be finite"),
    "with unsorted nodes": (_unsorted_nodes, "nodes must be sorted"),
    "with unsorted edges": (_unsorted_edges, "edges must be sorted"),
    "with columns of other lengths": (_columns_of_other_lengths, "must be equally long"),
    "without a column": (_missing_column, "edge_weight should be float32 of one dimension, got nothing"),
}


def broken_file(kind: str) -> bytes:
    """Returns the bytes of a trace file that is broken in one way."""
    return BROKEN[kind][0](synthetic_trace(1))
