import json
from io import BytesIO
from pathlib import Path

import networkx as nx
import pytest
from networkx.readwrite import json_graph
from pyarrow import parquet as files

from circuitbase.errors import InputError
from circuitbase.graph.tables import GraphTables, rows, tables_to_networkx
from circuitbase.graph.trace_tables import trace_tables
from circuitbase.store import graph_files
from circuitbase.store.graph_files import PARQUET_KEY, graphml, node_link_json, write_tables
from tests.synthetic import synthetic_trace, with_links

TRACE = synthetic_trace(5)
TABLES = trace_tables(TRACE, labels={})
TYPES = {"id": str, "name": str, "layer": int, "source": str, "target": str, "port": str, "weight": float}
PORTS = GraphTables(
    attributes={"name": "ports"},
    nodes={"id": ["a", "b"], "name": ["a\x00\r<&", "b"], "layer": [1, None]},
    edges={"source": ["a", "a"], "target": ["b", "b"], "port": ["q", "k"], "weight": [0.5, -1.0]},
    types=TYPES,
)


def known(found: dict) -> dict:
    return {name: value for name, value in found.items() if value is not None}


def test_graphml_is_read_back_by_networkx_as_it_went_out():
    found = nx.read_graphml(BytesIO(graphml(TABLES)), node_type=int)
    assert isinstance(found, nx.DiGraph) and not found.is_multigraph()
    assert found.graph["trace_id"] == TRACE.metadata.trace_id
    assert found.number_of_edges() == TRACE.graph.n_edges
    for row in rows(TABLES.nodes):
        assert found.nodes[row.pop("id")] == known(row)
    for row in rows(TABLES.edges):
        assert found.edges[row.pop("source"), row.pop("target")] == known(row)


def test_edges_that_share_their_ends_stay_apart_and_any_character_goes_through():
    found = nx.read_graphml(BytesIO(graphml(PORTS)))
    assert found.is_multigraph()
    assert {(d["port"], d["weight"]) for _, _, d in found.edges(data=True)} == {("q", 0.5), ("k", -1.0)}
    assert found.nodes["a"]["name"] == "a\\x00\\r<&"
    assert "layer" not in found.nodes["b"]


def test_parquet_is_two_tables_with_the_graphs_attributes(tmp_path: Path):
    places = write_tables(TABLES, str(tmp_path / "trace.parquet"), form="parquet")
    assert places == [f"{tmp_path}/trace.nodes.parquet", f"{tmp_path}/trace.edges.parquet"]
    nodes, edges = (files.read_table(place) for place in places)
    assert nodes.to_pydict() == {name: list(column) for name, column in TABLES.nodes.items()}
    assert edges.to_pydict() == {name: list(column) for name, column in TABLES.edges.items()}
    assert json.loads(nodes.schema.metadata[PARQUET_KEY]) == TABLES.attributes
    # a column of nothing has its type too, so that files of many graphs go together
    assert str(nodes.schema.field("label").type) == "string"
    assert str(nodes.schema.field("margin").type) == "double"


@pytest.mark.parametrize("tables", [TABLES, PORTS])
def test_json_is_what_networkx_reads(tables: GraphTables, tmp_path: Path):
    (place,) = write_tables(tables, str(tmp_path / "graph.json"), form="json")
    content = Path(place).read_bytes()
    assert content == node_link_json(tables)
    found = json_graph.node_link_graph(json.loads(content), edges="edges")
    assert found.is_multigraph() == tables.is_multigraph
    assert found.graph == dict(tables.attributes)
    assert [d["weight"] for _, _, d in found.edges(data=True)] == list(
        nx.get_edge_attributes(tables_to_networkx(tables), "weight").values()
    )


def test_a_trace_with_attention_links_goes_out_too():
    trace = with_links(TRACE)
    found = tables_to_networkx(trace_tables(trace))
    links = [node for _, node in found.nodes(data=True) if node["kind"] == "AttentionLink"]
    assert [link["key_position"] for link in links] == [0, 4]


def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"install circuitbase\[parquet\], or export as graphml or json"):
        graph_files.parquet(PORTS.nodes, PORTS)
