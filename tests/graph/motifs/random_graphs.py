"""Small graphs for the tests of motifs, and what networkx says of their motifs, one definition at a time."""

from collections import Counter
from itertools import combinations, permutations, product

import networkx as nx
import numpy as np

from circuitbase.graph.motifs.motif_type import MotifType, Shape
from circuitbase.graph.motifs.signed_graph import SignedGraph, signed_graph
from circuitbase.schema.kinds import NodeKind


def layered_graph(
    random: np.random.Generator,
    *,
    n_layers: int = 3,
    n_positions: int = 3,
    per_place: int = 2,
    probability: float = 0.3,
    error_share: float = 0.1,
) -> SignedGraph:
    """Returns a graph in which every possible edge to a higher layer is there independently of all others."""
    layer = np.repeat(np.arange(n_layers), n_positions * per_place)
    position = np.tile(np.repeat(np.arange(n_positions), per_place), n_layers)
    kind = np.where(random.random(len(layer)) < error_share, NodeKind.LAYER_ERROR, NodeKind.FEATURE).astype(np.uint8)
    possible = (layer[:, None] < layer[None, :]) & (position[:, None] <= position[None, :])
    source, target = np.nonzero(possible & (random.random(possible.shape) < probability))
    return signed_graph(kind, layer, position, source, target, random.choice([-1.0, 1.0], size=len(source)))


def from_edges(*edges: tuple[int, int, float], position: dict[int, int] | None = None) -> SignedGraph:
    """Returns a graph of features from (source, target, weight); a node's layer is its number."""
    n = 1 + max(end for source, target, _ in edges for end in (source, target))
    where = np.array([(position or {}).get(node, 0) for node in range(n)])
    source, target, weight = (np.array(column) for column in zip(*edges, strict=True))
    kind = np.full(n, int(NodeKind.FEATURE))
    return signed_graph(kind, np.arange(n), where, source, target, weight.astype(np.float64))


def as_networkx(graph: SignedGraph) -> nx.DiGraph:
    found = nx.DiGraph()
    for index, position in zip(graph.node.tolist(), graph.position.tolist(), strict=True):
        found.add_node(index, position=position)
    ends = zip(graph.node[graph.source].tolist(), graph.node[graph.target].tolist(), strict=True)
    for (source, target), positive in zip(ends, graph.is_positive.tolist(), strict=True):
        here, there = found.nodes[source]["position"], found.nodes[target]["position"]
        same = here == there and here >= 0
        found.add_edge(source, target, sign="+" if positive else "-", position="s" if same else "o")
    return found


def enumerated(graph: SignedGraph, *, min_size: int) -> Counter[tuple[MotifType, tuple[int, ...]]]:
    """Returns how often each motif is found when all groups of nodes are looked at, by the words of methods.md."""
    view = as_networkx(graph)
    found: Counter[tuple[MotifType, tuple[int, ...]]] = Counter()

    def word(what: str, *edges: tuple[int, int]) -> str:
        return "".join(view.edges[edge][what] for edge in edges)

    for a, b, c in permutations(view, 3):
        if not (view.has_edge(a, b) and view.has_edge(b, c)):
            continue
        signs, positions = word("sign", (a, b), (b, c)), word("position", (a, b), (b, c))
        if not view.has_edge(a, c):
            found[MotifType(Shape.CHAIN, signs, positions), (a, b, c)] += 1
            continue
        closing = word("sign", (a, c))
        product_of_two = "+" if signs[0] == signs[1] else "-"
        shape = Shape.COHERENT_LOOP if closing == product_of_two else Shape.INCOHERENT_LOOP
        found[MotifType(shape, signs + closing, positions), (a, b, c)] += 1
    for a, d in permutations(view, 2):
        middles = sorted(set(view.successors(a)) & set(view.predecessors(d)))
        for b, c in combinations(middles, 2):
            signs = sorted("+" if len(set(word("sign", (a, m), (m, d)))) == 1 else "-" for m in (b, c))
            here, there = view.nodes[a]["position"], view.nodes[d]["position"]
            ends = "s" if here == there >= 0 else "o"
            found[MotifType(Shape.DIAMOND, "".join(signs), ends), (a, b, c, d)] += 1
    for b, c in view.edges:
        ends = [node for node in view.predecessors(b) if not view.has_edge(node, c)]
        for a, i in product(ends, repeat=2):
            if word("sign", (a, b), (i, b), (b, c)) == "+-+":
                found[MotifType(Shape.INHIBITION, "+-+", word("position", (a, b), (i, b), (b, c))), (a, i, b, c)] += 1
    for node, sign, position in product(view, "+-", "so"):
        alike = [edge for edge in view.edges if view.edges[edge] == {"sign": sign, "position": position}]
        sources, targets = [s for s, t in alike if t == node], [t for s, t in alike if s == node]
        for shape, branches in ((Shape.FAN_IN, sources), (Shape.FAN_OUT, targets)):
            if len(branches) >= min_size:
                found[MotifType(shape, sign, position), (node, *sorted(branches))] += 1
    return found
