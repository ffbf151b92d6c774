"""The null model of motifs: a graph's edges swapped within classes, and samples that give exact p values.

A swap makes a -> d and c -> b of a -> b and c -> d (methods.md section 4). Every node keeps its in- and out-degree per
layer pair, kind pair, sign and position class, and no edge runs to an earlier position.

A round proposes many swaps at once: edges of a class are paired at random, some of the pairs are left out by chance,
and each other one is swapped iff neither its edges nor those that the swap would make meet those of another edge or
pair. Swapping does not change which pairs may be swapped, so a round is as likely as its reverse, and a walk of rounds
leaves the uniform distribution over the graphs that it reaches as it is. Besag and Clifford (1989): a walk from the
observed graph to a hub, and one as long from the hub to each sample, make graph and samples exchangeable, however short
the walks are.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64

from circuitbase.errors import InputError
from circuitbase.graph.motifs.counts import MIN_SIZE, motif_counts
from circuitbase.graph.motifs.motif_type import TYPES
from circuitbase.graph.motifs.signed_graph import SignedGraph

PROPOSED = 0.75  # of a round's pairs; were it all of them, a class of few edges would only see even permutations


@dataclass(frozen=True)
class NullOptions:
    """How many samples, how many rounds of swaps lead from the hub to each, and the seed of all of it."""

    samples: int = 999
    rounds: int = 20
    seed: int = 0

    def check(self) -> None:
        """Raises InputError for fewer than one sample or round."""
        for name in ("samples", "rounds"):
            if getattr(self, name) < 1:
                raise InputError(f"the null model needs at least 1 of its {name}, got {getattr(self, name)}")
        if self.seed < 0:
            raise InputError(f"a seed must be 0 or more, got {self.seed}")


@dataclass(frozen=True)
class SwapClasses:
    """Which edges may swap: `edge` sorted by class, `rank` the number of each one's class, and the places of pairs.

    Places `one` and `other` of any order that keeps the classes together hold edges of one class.
    """

    edge: Int64[np.ndarray, " edge"]
    rank: Int64[np.ndarray, " edge"]
    one: Int64[np.ndarray, " pair"]
    other: Int64[np.ndarray, " pair"]


@dataclass(frozen=True)
class NullCounts:
    """The counts of TYPES in samples of the null model, and how many edges of a sample the graph itself lacks.

    The less can move, the closer to the graph the samples are, and the smaller a ratio can be.
    """

    counts: Int64[np.ndarray, "type sample"]
    moved: float


def null_counts(graph: SignedGraph, *, options: NullOptions, trace_id: str, min_size: int = MIN_SIZE) -> NullCounts:
    """Returns the counts in each sample of the null model of a trace's graph.

    Equal seeds and trace ids give equal samples, whatever other traces there are.
    """
    options.check()
    random = np.random.default_rng([options.seed, *trace_id.encode()])
    classes = swap_classes(graph)
    hub = swapped(graph, classes, rounds=options.rounds, random=random)
    found = np.empty((len(TYPES), options.samples), dtype=np.int64)
    observed, moved = graph.source * graph.n_nodes + graph.target, 0
    for sample in range(options.samples):
        drawn = swapped(hub, classes, rounds=options.rounds, random=random)
        found[:, sample] = motif_counts(drawn, min_size=min_size)
        moved += int((~np.isin(drawn.source * drawn.n_nodes + drawn.target, observed)).sum())
    return NullCounts(found, moved=moved / options.samples)


def swap_classes(graph: SignedGraph) -> SwapClasses:
    """Returns the classes of layer pair, kind pair, sign and position class.

    Edges within a position swap with those at the same one only, since any other swap would leave the class. An edge
    to an earlier position, which no trace should have, stays where it is: its swap could not be undone.
    """
    at = np.where(graph.same_position, graph.position[graph.source], -1)
    ends = [column[end] for column in (graph.layer, graph.kind) for end in (graph.source, graph.target)]
    columns = np.stack([*ends, graph.edge_class, at], axis=1)
    _, numbers = np.unique(columns, axis=0, return_inverse=True)
    edge = np.flatnonzero(graph.position[graph.source] <= graph.position[graph.target])
    edge = edge[np.argsort(numbers.reshape(-1)[edge], kind="stable")]
    rank = numbers.reshape(-1)[edge].astype(np.int64)
    start = np.searchsorted(rank, rank)
    one = np.flatnonzero(((np.arange(len(rank)) - start)[:-1] % 2 == 0) & (rank[1:] == rank[:-1]))
    return SwapClasses(edge=edge, rank=rank, one=one, other=one + 1)


def swapped(graph: SignedGraph, classes: SwapClasses, *, rounds: int, random: np.random.Generator) -> SignedGraph:
    """Returns the graph after some rounds of swaps; edges keep their source, sign and class, and their place."""
    target = graph.target.copy()
    for _ in range(rounds):
        _swap_once(graph, target, classes, random)
    return replace(graph, target=target)


def _swap_once(graph: SignedGraph, target: np.ndarray, classes: SwapClasses, random: np.random.Generator) -> None:
    order = classes.edge[np.argsort(classes.rank + random.random(len(classes.rank)))]
    proposed = random.random(len(classes.one)) < PROPOSED
    one, other = order[classes.one[proposed]], order[classes.other[proposed]]
    a, b, c, d = graph.source[one], target[one], graph.source[other], target[other]
    fits = (a != c) & (b != d) & _keeps_class(graph, one, a, d) & _keeps_class(graph, other, c, b)
    one, other, a, b, c, d = (column[fits] for column in (one, other, a, b, c, d))
    n = graph.n_nodes
    wanted = np.concatenate([a * n + d, c * n + b])
    present = graph.source * n + target
    key = np.sort(np.concatenate([wanted, present]))
    met = key[1:][key[1:] == key[:-1]]  # met by more than one pair, or by a pair and an edge
    if len(met):
        current = np.concatenate([a * n + b, c * n + d])
        free = ~(_among(wanted, met) | _among(current, met))
        free = free[: len(one)] & free[len(one) :]
        one, other, b, d = (column[free] for column in (one, other, b, d))
    target[one], target[other] = d, b


def _keeps_class(graph: SignedGraph, edge: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns whether an edge may lead between these nodes: of its own position class, and to no earlier position."""
    here, there = graph.position[source], graph.position[target]
    return (((here == there) & (here >= 0)) == graph.same_position[edge]) & (here <= there)


def _among(key: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    place = np.searchsorted(ordered, key)
    return ordered[np.minimum(place, len(ordered) - 1)] == key
