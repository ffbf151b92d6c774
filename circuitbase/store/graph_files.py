"""Graphs as files of other tools: GraphML, Parquet and networkx' JSON, in a folder or at an fsspec URL."""

import io
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

import networkx as nx

from circuitbase.errors import InputError
from circuitbase.graph.tables import Column, GraphTables, rows, tables_to_networkx
from circuitbase.store.trace_store import write_bytes

TableFormat = Literal["graphml", "parquet", "json"]
PARQUET_KEY = b"circuitbase"
_NOT_XML = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_tables(tables: GraphTables, location: str, *, form: TableFormat) -> list[str]:
    """Writes a graph and returns where: one file, or two of Parquet, `NAME.nodes.parquet` and `NAME.edges.parquet`.

    Raises StoreError if it cannot be written, InputError if pyarrow is not installed.
    """
    match form:
        case "graphml":
            return [write_bytes(graphml(tables), location)]
        case "json":
            return [write_bytes(node_link_json(tables), location)]
        case "parquet":
            stem = location.removesuffix(".parquet")
            return [
                write_bytes(parquet(columns, tables), f"{stem}.{name}.parquet")
                for name, columns in (("nodes", tables.nodes), ("edges", tables.edges))
            ]


def graphml(tables: GraphTables) -> bytes:
    """Returns the graph as GraphML; what is not known is left out, and characters that XML cannot hold are escaped."""
    view = tables_to_networkx(_for_xml(tables))
    if view.is_multigraph():
        # GraphML's edge ids must be unique, and networkx writes keys, which count from 0 between any two nodes
        numbered: nx.MultiDiGraph = nx.MultiDiGraph(**view.graph)
        numbered.add_nodes_from(view.nodes(data=True))
        for place, (source, target, attributes) in enumerate(view.edges(data=True)):
            numbered.add_edge(source, target, key=f"e{place}", **attributes)
        view = numbered
    content = io.BytesIO()
    nx.write_graphml(view, content)
    return content.getvalue()


def node_link_json(tables: GraphTables) -> bytes:
    """Returns the graph as JSON that `networkx.node_link_graph(..., edges="edges")` reads; null is not known."""
    found: dict[str, Any] = {
        "directed": True,
        "multigraph": tables.is_multigraph,
        "graph": dict(tables.attributes),
        "nodes": rows(tables.nodes),
        "edges": rows(tables.edges),
    }
    if tables.is_multigraph:
        found["edges"] = [{**edge, "key": place} for place, edge in enumerate(found["edges"])]
    return json.dumps(found, ensure_ascii=False, allow_nan=False).encode()


def parquet(columns: Mapping[str, Column], tables: GraphTables) -> bytes:
    """Returns one table as Parquet, with the graph's attributes as JSON under `circuitbase` in its metadata."""
    try:
        import pyarrow as pa
        from pyarrow import parquet as files
    except ImportError as error:
        raise InputError(
            "Parquet files need pyarrow, which is not installed; install circuitbase[parquet], "
            "or export as graphml or json"
        ) from error
    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema(
        [(name, types[tables.types[name]]) for name in columns],
        metadata={PARQUET_KEY: json.dumps(dict(tables.attributes), ensure_ascii=False)},
    )
    content = io.BytesIO()
    files.write_table(pa.table({name: list(column) for name, column in columns.items()}, schema=schema), content)
    return content.getvalue()


def _for_xml(tables: GraphTables) -> GraphTables:
    return GraphTables(
        attributes={name: _escaped(value) for name, value in tables.attributes.items()},
        nodes={name: [_escaped(value) for value in column] for name, column in tables.nodes.items()},
        edges={name: [_escaped(value) for value in column] for name, column in tables.edges.items()},
        types=tables.types,
    )


def _escaped(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _NOT_XML.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
