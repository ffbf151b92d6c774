"""Any graph as two tables, of nodes and of edges: how traces and global circuits leave for other tools."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

Column = Sequence[str | int | float | bool | None]


@dataclass(frozen=True)
class GraphTables:
    """Columns of nodes, with `id`, and of edges, with `source` and `target`; None is what is not known.

    `attributes` are those of the graph. `types` gives the Python type of every column, also of one of only None.
    Edges may share their ends, where `port` tells them apart.
    """

    attributes: Mapping[str, str | int | float | bool]
    nodes: Mapping[str, Column]
    edges: Mapping[str, Column]
    types: Mapping[str, type] = field(default_factory=dict)

    @property
    def n_nodes(self) -> int:
        """Returns the number of nodes."""
        return len(self.nodes["id"])

    @property
    def n_edges(self) -> int:
        """Returns the number of edges."""
        return len(self.edges["source"])

    @property
    def is_multigraph(self) -> bool:
        """Returns whether edges share both ends."""
        return len(set(zip(self.edges["source"], self.edges["target"], strict=True))) < self.n_edges


def rows(columns: Mapping[str, Column]) -> list[dict[str, Any]]:
    """Returns columns as rows."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def tables_to_networkx(tables: GraphTables) -> nx.DiGraph:
    """Returns the graph as networkx has it, without what is not known; a MultiDiGraph where edges share their ends."""
    view: nx.DiGraph = nx.MultiDiGraph() if tables.is_multigraph else nx.DiGraph()
    view.graph.update(tables.attributes)
    for node in rows(tables.nodes):
        view.add_node(node.pop("id"), **_known(node))
    for edge in rows(tables.edges):
        view.add_edge(edge.pop("source"), edge.pop("target"), **_known(edge))
    return view


def _known(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}
