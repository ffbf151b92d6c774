"""Circuits from scores: the highest edges, those above a threshold, or those found backwards from the logits.

Scores are [source, receiver] in the order of `ComponentGraph`. With `absolute` an edge counts by |score|, else by
the score itself. Equal scores are taken in the order of the graph's edges.
"""

import heapq

import numpy as np
from jaxtyping import Bool, Float, Int

from circuitbase.errors import InputError
from circuitbase.schema.kinds import Port
from circuitbase.tracing.components.component_graph import ComponentGraph


def top_edges(
    graph: ComponentGraph, scores: Float[np.ndarray, "source receiver"], *, n: int, absolute: bool
) -> Bool[np.ndarray, "source receiver"]:
    """Returns the circuit of the n edges with the highest scores; raises InputError for more than there are."""
    _check_number(graph, n)
    places = np.argwhere(graph.edges)
    ranks = _ranked(scores, absolute=absolute)[graph.edges]
    return _circuit(graph, places[np.argsort(-ranks, kind="stable")[:n]])


def edges_above(
    graph: ComponentGraph, scores: Float[np.ndarray, "source receiver"], *, threshold: float, absolute: bool
) -> Bool[np.ndarray, "source receiver"]:
    """Returns the circuit of all edges whose score is at least the threshold."""
    found: Bool[np.ndarray, "source receiver"] = graph.edges & (_ranked(scores, absolute=absolute) >= threshold)
    return found


def greedy_edges(
    graph: ComponentGraph, scores: Float[np.ndarray, "source receiver"], *, n: int, absolute: bool
) -> Bool[np.ndarray, "source receiver"]:
    """Returns the circuit that takes, n times, the highest edge into what is in it already, starting at the logits.

    So every edge leads on to the logits. It may hold fewer edges, where nothing more leads into it. Source: the
    greedy selection of EAP-IG and MIB.
    """
    _check_number(graph, n)
    ranks = _ranked(scores, absolute=absolute)
    waiting: list[tuple[float, int, int]] = []

    def reach(receiver: int) -> None:
        for source in range(int(graph.reads[receiver])):
            heapq.heappush(waiting, (-float(ranks[source, receiver]), source, receiver))

    reach(graph.logits)
    inside: set[int] = set()
    taken: list[tuple[int, int]] = []
    while waiting and len(taken) < n:
        _, source, receiver = heapq.heappop(waiting)
        taken.append((source, receiver))
        if source not in inside:
            inside.add(source)
            for receiver_of_source in inputs_of(graph, source):
                reach(receiver_of_source)
    return _circuit(graph, np.array(taken, dtype=np.int64).reshape(-1, 2))


def live_edges(graph: ComponentGraph, kept: Bool[np.ndarray, "source receiver"]) -> Bool[np.ndarray, "source receiver"]:
    """Returns the edges of a circuit from which its other edges lead to the logits; the rest change nothing."""
    live = np.zeros_like(kept)
    for receiver in reversed(range(graph.n_receivers)):
        component = source_of(graph, receiver)
        if component is None or live[component].any():
            live[:, receiver] = kept[:, receiver]
    return live


def inputs_of(graph: ComponentGraph, source: int) -> tuple[int, ...]:
    """Returns the receivers of what writes as `source`: three of a head, one of an MLP, none of the input."""
    if source == 0:
        return ()
    layer, head = divmod(source - 1, graph.n_heads + 1)
    if head == graph.n_heads:
        return (graph.mlp_input(layer),)
    return tuple(graph.port(layer, head, port) for port in (Port.Q, Port.K, Port.V))


def source_of(graph: ComponentGraph, receiver: int) -> int | None:
    """Returns the source that a receiver feeds; None for the logits."""
    if receiver == graph.logits:
        return None
    layer, place = divmod(receiver, 3 * graph.n_heads + 1)
    return graph.mlp(layer) if place == 3 * graph.n_heads else graph.head(layer, place % graph.n_heads)


def _ranked(scores: Float[np.ndarray, "source receiver"], *, absolute: bool) -> Float[np.ndarray, "source receiver"]:
    return np.abs(scores) if absolute else scores


def _circuit(graph: ComponentGraph, places: Int[np.ndarray, "edge 2"]) -> Bool[np.ndarray, "source receiver"]:
    kept = np.zeros_like(graph.edges)
    kept[places[:, 0], places[:, 1]] = True
    return kept


def _check_number(graph: ComponentGraph, n: int) -> None:
    if not 0 <= n <= graph.n_edges:
        raise InputError(f"a circuit of this model has 0 to {graph.n_edges} edges, got {n}")
