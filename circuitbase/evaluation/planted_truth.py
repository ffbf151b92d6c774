"""What queries over a database with planted mechanisms should find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import fsum

from circuitbase.evaluation.planted_mechanisms import OUTPUT, Form, Link, Mechanism, unit_of
from circuitbase.queries.observed_edges import Edge

LABELS = ("A", "B")


@dataclass(frozen=True)
class PlantedEdge:
    """A unit edge of a mechanism. Pairs are label A, label B; means are over all traces, with the edge or without."""

    mechanism: str
    edge: Edge
    presence: tuple[float, float]
    mean_share: tuple[float, float]
    mean_influence: tuple[float, float]

    @property
    def differs(self) -> bool:
        """Returns whether the edge is more often, or stronger, in traces of one label."""
        return self.presence[0] != self.presence[1] or self.mean_share[0] != self.mean_share[1]


@dataclass(frozen=True)
class PlantedPath:
    """Two unit edges in a row with the probability that a trace realises them through one node; 0: unsupported."""

    mechanism: str
    first: Edge
    second: Edge
    support: float


@dataclass(frozen=True)
class Planted:
    """The truth: `unit` are ids by mechanism and name. Numbers over both labels hold where these are equally many."""

    edges: tuple[PlantedEdge, ...]
    paths: tuple[PlantedPath, ...]
    unit: Mapping[tuple[str, str], str]

    def of(self, mechanism: str) -> tuple[PlantedEdge, ...]:
        """Returns the edges of one mechanism."""
        return tuple(edge for edge in self.edges if edge.mechanism == mechanism)

    @property
    def differing(self) -> frozenset[Edge]:
        """Returns the edges that differ between the labels."""
        return frozenset(edge.edge for edge in self.edges if edge.differs)


def planted_truth(mechanisms: Sequence[Mechanism], units: Mapping[tuple[str, str], str], *, output: str) -> Planted:
    """Returns the truth about mechanisms whose units have these ids."""
    edges: list[PlantedEdge] = []
    paths: list[PlantedPath] = []
    for mechanism in mechanisms:
        ids = {name: units[mechanism.name, name] for name in mechanism.layers} | {OUTPUT: output}
        edges += _edges(mechanism, ids)
        paths += _paths(mechanism, ids)
    return Planted(tuple(edges), tuple(paths), dict(units))


def link_influence(links: Sequence[Link], shares: Sequence[float]) -> list[float]:
    """Returns the influence of each link on an output of weight 1: its share times what its target passes on."""
    return [share * _passed_on(link.target, links, shares) for link, share in zip(links, shares, strict=True)]


def unit_edge(link: Link, ids: Mapping[str, str]) -> Edge:
    """Returns the unit edge of a link."""
    return ids[unit_of(link.source)], ids[unit_of(link.target)], 0


def _passed_on(node: str, links: Sequence[Link], shares: Sequence[float]) -> float:
    if node == OUTPUT:
        return 1.0
    return fsum(
        share * _passed_on(link.target, links, shares)
        for link, share in zip(links, shares, strict=True)
        if link.source == node
    )


def _edges(mechanism: Mechanism, ids: Mapping[str, str]) -> list[PlantedEdge]:
    found: dict[Edge, list[list[float]]] = {}
    for form, label in product(mechanism.forms, range(len(LABELS))):
        shares = [link.share[label] for link in form.links]
        # Shares are drawn independently of each other, so that the mean of a product is the product of means.
        for link, share, influence in zip(form.links, shares, link_influence(form.links, shares), strict=True):
            sums = found.setdefault(unit_edge(link, ids), [[0.0, 0.0] for _ in range(3)])
            for total, value in zip(sums, (1.0, share, influence), strict=True):
                total[label] += form.probability[label] * value
    return [
        PlantedEdge(mechanism.name, edge, *((first, second) for first, second in sums)) for edge, sums in found.items()
    ]


def _paths(mechanism: Mechanism, ids: Mapping[str, str]) -> list[PlantedPath]:
    edges = {unit_edge(link, ids): None for form in mechanism.forms for link in form.links}
    return [
        PlantedPath(
            mechanism.name,
            first,
            second,
            fsum(sum(form.probability) / 2 for form in mechanism.forms if _realises(form, ids, first, second)),
        )
        for first, second in product(edges, edges)
        if first[1] == second[0]
    ]


def _realises(form: Form, ids: Mapping[str, str], first: Edge, second: Edge) -> bool:
    return any(
        unit_edge(a, ids) == first and unit_edge(b, ids) == second and a.target == b.source
        for a, b in product(form.links, form.links)
    )
