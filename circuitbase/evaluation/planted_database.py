"""Synthetic databases of any size whose mechanisms are known: valid traces, one after the other, from a seed.

Everything that a query should find is in `PlantedDatabase.planted`; what else the traces hold recurs, is heavy-tailed,
and does not depend on labels. No model is behind them, and their accounts close.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from circuitbase.errors import InputError
from circuitbase.evaluation.background_graph import (
    DatabaseSize,
    connected,
    drawn_tokens,
    feature_presence,
    fired_features,
    node_columns,
    presence_in_cluster,
    strongest_edges,
)
from circuitbase.evaluation.closed_accounts import UnfinishedTrace, finished_trace
from circuitbase.evaluation.planted_draws import NONE, DrawnTrace, Sampling, draws
from circuitbase.evaluation.planted_identities import ROLE, planted_dictionary, planted_model
from circuitbase.evaluation.planted_mechanisms import OTHER_NODE, OUTPUT, Mechanism, every_mechanism, unit_of
from circuitbase.evaluation.planted_truth import LABELS, Planted, link_influence, planted_truth
from circuitbase.graph.trace import Trace
from circuitbase.queries.observed_edges import Edge
from circuitbase.schema import identity

BACKGROUND = 0.15  # of each target's input; the rest of it is planted or was pruned
PRUNED = 1 / 3  # of the firings have no node


@dataclass(frozen=True)
class PlantedTrace:
    """A trace with what its set should say of its prompt, and what was drawn for it."""

    trace: Trace
    cluster: str
    label: str
    drawn: DrawnTrace


@dataclass(frozen=True)
class PlantedDatabase:
    """Traces with planted mechanisms. Raises InputError if these have no room in a target or in the layers."""

    size: DatabaseSize = field(default_factory=DatabaseSize)
    mechanisms: tuple[Mechanism, ...] = field(default_factory=every_mechanism)
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        deepest = max((layer for each in self.mechanisms for layer in each.layers.values()), default=0)
        if deepest >= self.size.layers or self.size.positions < 3:
            raise InputError(
                f"planted mechanisms need {deepest + 1} layers and 3 positions, got {self.size.layers} and "
                f"{self.size.positions}; make the traces larger"
            )
        largest = (1 + self.sampling.spread) * (1 + self.sampling.cluster_effect)
        planted = max(self._planted_shares(), default=0.0) * largest
        if planted > 1 - BACKGROUND:
            raise InputError(
                f"planted edges should take at most {1 - BACKGROUND:.2f} of a target's input, and may take "
                f"{planted:.2f}; plant fewer mechanisms, or with a smaller spread or cluster effect"
            )

    @cached_property
    def planted(self) -> Planted:
        """Returns the truth."""
        dictionary = planted_dictionary(self.size, self._reserved)
        ids = {
            (mechanism.name, unit): identity.feature(
                dictionary.id, dictionary.site, layer, self._unit[mechanism.name, unit]
            )
            for mechanism in self.mechanisms
            for unit, layer in mechanism.layers.items()
        }
        return planted_truth(self.mechanisms, ids, output=self._output)

    def draws(self) -> Iterator[DrawnTrace]:
        """Yields what is drawn for each trace, at a small part of the cost of the traces."""
        return draws(self.mechanisms, self.sampling, traces=self.size.traces)

    def drawn_influence(self, drawn: DrawnTrace) -> dict[Edge, float]:
        """Returns the influence of the planted edges that a trace has."""
        found = {}
        ids = self.planted.unit
        for mechanism, each in zip(self.mechanisms, drawn.mechanisms, strict=True):
            if each.form == NONE:
                continue
            links = mechanism.forms[each.form].links
            for link, influence in zip(links, link_influence(links, each.shares), strict=True):
                ends = [
                    self._output if node == OUTPUT else ids[mechanism.name, unit_of(node)]
                    for node in (link.source, link.target)
                ]
                found[ends[0], ends[1], 0] = influence
        return found

    def traces(self, *, first: int = 0) -> Iterator[PlantedTrace]:
        """Yields every trace from number `first` on, each made when it is asked for."""
        presence = feature_presence(self.size)
        cluster, shared = NONE, presence
        for drawn in draws(self.mechanisms, self.sampling, traces=self.size.traces - first, first=first):
            if drawn.cluster != cluster:
                cluster = drawn.cluster
                random = np.random.default_rng([self.sampling.seed, 2, cluster])
                shared = presence_in_cluster(presence, self.sampling.cluster_effect, random)
            trace = self._trace(drawn, shared)
            yield PlantedTrace(trace, f"cluster {drawn.cluster}", LABELS[drawn.label], drawn)

    def _trace(self, drawn: DrawnTrace, presence: np.ndarray) -> Trace:
        random = np.random.default_rng([self.sampling.seed, 3, drawn.number])
        fired = fired_features(self.size, presence, random)
        traced = fired[random.random(len(fired)) > PRUNED]
        planted, links = self._planted_nodes(drawn, random)
        tokens = (0, *drawn_tokens(self.size.positions - 1, random))
        nodes = node_columns(self.size, tokens, traced, planted)
        edges = strongest_edges(nodes, edges=self.size.edges, seed=self.sampling.seed, random=random)
        kept = connected(nodes, edges)
        place = {key: row for row, key in enumerate(zip(nodes.layer, nodes.position, nodes.unit, strict=True))}
        output = len(nodes.kind) - 1
        ends = [[output if key is None else place[key] for key in link[:2]] for link in links]
        unfinished = UnfinishedTrace(
            size=self.size,
            reserved=self._reserved,
            tokens=tokens,
            fired=np.concatenate([fired, planted]),
            nodes=nodes,
            kept=kept,
            edges=edges,
            planted_source=np.array([source for source, _ in ends], dtype=np.int64),
            planted_target=np.array([target for _, target in ends], dtype=np.int64),
            planted_share=np.array([link[2] for link in links], dtype=np.float64),
            background=BACKGROUND,
        )
        return finished_trace(unfinished, random)

    def _planted_nodes(self, drawn: DrawnTrace, random: np.random.Generator) -> tuple[np.ndarray, list[tuple]]:
        """Returns (layer, position, unit) of the planted nodes, and links as (source, target, share) of these."""
        nodes: dict[tuple[int, int, int], None] = {}
        links = []
        for mechanism, each in zip(self.mechanisms, drawn.mechanisms, strict=True):
            if each.form == NONE:
                continue
            at = sorted(random.choice(np.arange(1, self.size.positions), size=2, replace=False).tolist())
            for link, share in zip(mechanism.forms[each.form].links, each.shares, strict=True):
                ends = [self._key(mechanism, node, at) for node in (link.source, link.target)]
                nodes |= {key: None for key in ends if key is not None}
                links.append((*ends, share))
        return np.array(list(nodes), dtype=np.int64).reshape(-1, 3), links

    def _key(self, mechanism: Mechanism, node: str, at: list[int]) -> tuple[int, int, int] | None:
        if node == OUTPUT:
            return None
        unit = unit_of(node)
        return mechanism.layers[unit], at[node.endswith(OTHER_NODE)], self._unit[mechanism.name, unit]

    @cached_property
    def _output(self) -> str:
        return identity.role_output(planted_model(self.size).id, ROLE)

    @cached_property
    def _unit(self) -> dict[tuple[str, str], int]:
        """Returns the index of every planted unit, above those of the other features."""
        names = [(mechanism.name, unit) for mechanism in self.mechanisms for unit in mechanism.layers]
        return {name: self.size.features + number for number, name in enumerate(names)}

    @property
    def _reserved(self) -> int:
        return sum(len(mechanism.layers) for mechanism in self.mechanisms)

    def _planted_shares(self) -> Iterator[float]:
        """Yields the mean share that planted edges take of each target, of the output with all that can be there."""
        of_output = 0.0
        for mechanism in self.mechanisms:
            into_output = [0.0]
            for form in mechanism.forms:
                for target in {link.target for link in form.links}:
                    total = sum(max(link.share) for link in form.links if link.target == target)
                    if target == OUTPUT:
                        into_output.append(total)
                    else:
                        yield total
            of_output += max(into_output)
        yield of_output
