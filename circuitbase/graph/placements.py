"""Whether a trace realises a set of unit edges: one node for each unit, with the edges between those nodes.

A placement of a set is a placement of each of its subsets, so support never rises as a set grows.
"""

from collections.abc import Iterable, Sequence

from circuitbase.graph.unit_edges import UnitEdges

Domains = dict[int, set[int]]
Pairs = list[tuple[int, int, list[tuple[int, int]]]]


def placement(index: UnitEdges, edges: Sequence[int], trace: int) -> dict[int, int] | None:
    """Returns unit -> node of the first placement of the edges in a trace, None if there is none.

    First in the order of units and nodes, so it depends on neither the order of edges nor that of traces.
    Domains are made consistent before each choice, so that sets without a cycle are placed without backtracking.
    """
    pairs: Pairs = []
    for edge in sorted(edges):
        here = _occurrences(index, edge, trace)
        if not here:
            return None
        pairs.append((int(index.source[edge]), int(index.target[edge]), here))
    domains: Domains = {}
    for source, target, here in pairs:
        _meet(domains, source, {s for s, _ in here})
        _meet(domains, target, {t for _, t in here})
    found = _placed(domains, pairs)
    return None if found is None else {unit: min(domain) for unit, domain in found.items()}


def placements_in(index: UnitEdges, edges: Sequence[int], traces: Iterable[int]) -> dict[int, dict[int, int]]:
    """Returns trace -> its first placement of the edges, for those of the traces that realise them."""
    found = ((trace, placement(index, edges, trace)) for trace in traces)
    return {trace: placed for trace, placed in found if placed is not None}


def _occurrences(index: UnitEdges, edge: int, trace: int) -> list[tuple[int, int]]:
    own = index.occurrences(edge)
    first, last = own.start + index.at_trace[own].searchsorted([trace, trace + 1])
    return list(zip(index.at_source[first:last].tolist(), index.at_target[first:last].tolist(), strict=True))


def _meet(domains: Domains, unit: int, nodes: set[int]) -> None:
    domains[unit] = domains[unit] & nodes if unit in domains else nodes


def _placed(domains: Domains, pairs: Pairs) -> Domains | None:
    """Returns domains of one node each that hold all pairs, by choosing nodes in order; None if there are none."""
    domains = dict(domains)
    if not _made_consistent(domains, pairs):
        return None
    unit = min((unit for unit, domain in domains.items() if len(domain) > 1), default=None)
    if unit is None:
        return domains
    for node in sorted(domains[unit]):
        found = _placed({**domains, unit: {node}}, pairs)
        if found is not None:
            return found
    return None


def _made_consistent(domains: Domains, pairs: Pairs) -> bool:
    """Takes away nodes that some edge cannot use until nothing moves; False if a unit has none left."""
    moved = True
    while moved:
        moved = False
        for source, target, here in pairs:
            left, right = domains[source], domains[target]
            usable = [(s, t) for s, t in here if s in left and t in right]
            if not usable:
                return False
            for unit, nodes in ((source, {s for s, _ in usable}), (target, {t for _, t in usable})):
                if len(nodes) < len(domains[unit]):
                    domains[unit] = nodes
                    moved = True
    return True
