"""Queries over synthetic databases whose answer is known: what is planted is found, and nothing is found too often."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from neo4j import Driver
from scipy.sparse import csr_matrix
from scipy.stats import false_discovery_control

from circuitbase.evaluation.background_graph import DatabaseSize
from circuitbase.evaluation.planted_database import PlantedDatabase, PlantedTrace
from circuitbase.evaluation.planted_draws import Sampling
from circuitbase.evaluation.planted_mechanisms import (
    contrast_in_presence,
    contrast_in_strength,
    half_and_half,
    split_feature,
    subcircuit,
    through_other_nodes,
    two_routes,
)
from circuitbase.graph.cluster_bootstrap import bootstrapped_means
from circuitbase.graph.permutation import permutation_test
from circuitbase.graph.shared_influence import clusters_of, likeness
from circuitbase.queries.circuit import global_circuit
from circuitbase.queries.circuit_paths import path_support
from circuitbase.queries.contrast_over_traces import ContrastTest, contrast_over_traces
from circuitbase.queries.intervals import wilson
from circuitbase.queries.relabelling import by_group
from circuitbase.queries.rollup_choice import choose_rollup
from circuitbase.queries.selection import labelled, whole_set
from circuitbase.queries.selection_sums import selection_sums
from circuitbase.queries.similar_traces import clustered, trace_influence
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.queries.planted_values import Observations, observations, put_planted

SMALL = DatabaseSize(traces=40, edges=100)
CONTRASTS = (
    *(contrast_in_presence(f"presence {number}") for number in range(4)),
    *(contrast_in_strength(f"strength {number}") for number in range(4)),
)
RATE = 0.1
CLUSTERED = Sampling(per_cluster=4, cluster_effect=0.25)


def seeded(sampling: Sampling, seed: int) -> Sampling:
    return replace(sampling, seed=seed)


def truly_in(traces: Sequence[PlantedTrace], database: PlantedDatabase) -> dict[tuple[str, str, int], list[int]]:
    """Returns the numbers of the traces that each planted edge was drawn for."""
    found: dict[tuple[str, str, int], list[int]] = {edge.edge: [] for edge in database.planted.edges}
    for each in traces:
        for edge in database.drawn_influence(each.drawn):
            found[edge].append(each.drawn.number)
    return found


def test_a_planted_subcircuit_is_in_the_global_circuit_and_half_and_half_is_no_path(
    database: Driver, settings: Settings
) -> None:
    planted = PlantedDatabase(SMALL, mechanisms=(subcircuit(), half_and_half(), through_other_nodes(), split_feature()))
    traces = put_planted(database, settings, "planted", planted)
    truth, n = planted.planted, SMALL.traces
    drawn_in = truly_in(traces, planted)
    with database.session() as session:
        rollup = choose_rollup(session, "planted", configuration=None)
        circuit = global_circuit(session, rollup, min_presence=0.2)
        selection = whole_set(session, rollup)
        store = TraceStore(settings.store_url)
        support = path_support(session, store, selection, list(drawn_in), most_traces=None)
        ids = truth.unit
        copies = {ids["split feature", copy]: "one feature" for copy in ("f1", "f2")}
        united = selection_sums(session, store, selection, relabelling=by_group(copies))

    found = {(edge.source, edge.target, edge.port): edge for edge in circuit.edges}
    assert drawn_in.keys() <= found.keys()
    influence = dict.fromkeys(drawn_in, 0.0)
    for each in traces:
        for edge, value in planted.drawn_influence(each.drawn).items():
            influence[edge] += value / n
    for edge in truth.edges:
        assert found[edge.edge].traces == len(drawn_in[edge.edge])
        assert found[edge.edge].presence.value == len(drawn_in[edge.edge]) / n
        assert found[edge.edge].presence.value == pytest.approx(edge.presence[0], abs=0.24)  # three deviations
        assert found[edge.edge].mean_influence == pytest.approx(influence[edge.edge], rel=1e-5)
    # the strongest edges are planted ones
    assert {(edge.source, edge.target, edge.port) for edge in circuit.edges[:3]} <= drawn_in.keys()

    realised = {(path.first, path.second): path for path in support.found}
    assert support.paths == len(truth.paths)
    for path in truth.paths:
        both = len(set(drawn_in[path.first]) & set(drawn_in[path.second]))
        if path.support == 0:
            assert (path.first, path.second) not in realised
        else:
            assert realised[path.first, path.second].traces == both
    apart = [path for path in truth.paths if path.support == 0]
    assert {path.mechanism for path in apart} == {"half and half", "through other nodes"}
    # here only the nodes tell: the edges are in the same traces
    (beside,) = [path for path in apart if path.mechanism == "through other nodes"]
    assert len(drawn_in[beside.first]) == len(drawn_in[beside.second]) > 0.6 * n

    place = united.units.index("one feature")
    sums = united.edge_sums
    (of_both,) = sums.traces[(sums.target == place) & (sums.source == united.units.index(ids["split feature", "a"]))]
    assert of_both == sum(len(drawn_in[edge.edge]) for edge in truth.of("split feature") if edge.edge[1] in copies)


def test_two_planted_routes_are_two_clusters(database: Driver, settings: Settings) -> None:
    planted = PlantedDatabase(SMALL, mechanisms=(two_routes(share=0.5),))
    traces = put_planted(database, settings, "planted", planted)
    route = {each.trace.metadata.trace_id: each.drawn.mechanisms[0].form for each in traces}
    with database.session() as session:
        selection = whole_set(session, choose_rollup(session, "planted", configuration=None))
        influence = trace_influence(session, TraceStore(settings.store_url), selection)
        found = clustered(session, influence, number=None, most=3)
    assert [len({route[trace.id] for trace in cluster.traces}) for cluster in found.clusters] == [1, 1]
    edges = {edge.edge for edge in planted.planted.edges}
    assert all(each.edge in edges for cluster in found.clusters for each in cluster.distinctions)


def test_traces_with_one_mechanism_are_one_cluster() -> None:
    """The background alone is no structure, which a choice by silhouette could invent."""
    for seed in range(5):
        traces = list(PlantedDatabase(SMALL, mechanisms=(subcircuit(presence=1.0),), sampling=Sampling(seed)).traces())
        found = observations(traces, least=1)
        share = found.share / found.share.sum(axis=1, keepdims=True)
        assert clusters_of(likeness(csr_matrix(share))).number == 1


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(per_cluster=2, labels_within_clusters=True)])
def test_every_planted_contrast_is_found_in_a_database(
    database: Driver, settings: Settings, sampling: Sampling
) -> None:
    planted = PlantedDatabase(SMALL, mechanisms=(*CONTRASTS[:2], *CONTRASTS[4:6]), sampling=sampling)
    put_planted(database, settings, "planted", planted)
    with database.session() as session:
        every = whole_set(session, choose_rollup(session, "planted", configuration=None))
        sides = labelled(every, side="A"), labelled(every, side="B")
        options = ContrastTest(permutations=1_999)
        found = contrast_over_traces(session, TraceStore(settings.store_url), *sides, options=options)
    discoveries = {(edge.source, edge.target, edge.port): edge for edge in found.discoveries(rate=RATE)}
    assert planted.planted.differing <= discoveries.keys()
    assert len(discoveries) <= 6
    assert all((discoveries[edge].effect or 0) > 0.8 for edge in planted.planted.differing)


def corrected(found: Observations, is_first: np.ndarray, clusters: np.ndarray, *, seed: int) -> np.ndarray:
    p = permutation_test(found.share, is_first, clusters, permutations=999, seed=seed).p
    return np.asarray(false_discovery_control(np.clip(p, 0.0, 1.0)))


@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(per_cluster=2, cluster_effect=0.1), replace(CLUSTERED, labels_within_clusters=True)],
)
def test_discoveries_are_the_planted_ones_and_false_ones_come_at_the_promised_rate(sampling: Sampling) -> None:
    false, missed = [], 0
    for seed in range(6):
        planted = PlantedDatabase(replace(SMALL, traces=64), CONTRASTS[2:6], seeded(sampling, seed))
        found = observations(list(planted.traces()), least=10)
        q = corrected(found, found.is_first, found.clusters, seed=seed)
        discovered = {edge for edge, each in zip(found.edges, q, strict=True) if each <= RATE}
        differing = planted.planted.differing
        missed += len(differing - discovered)
        false.append(len(discovered - differing) / max(1, len(discovered)))
    assert missed == 0
    # each is a share with mean of at most RATE; the mean of 6 has a deviation of about 0.04
    assert np.mean(false) <= RATE + 0.08


@pytest.mark.parametrize("sampling", [Sampling(), CLUSTERED])
def test_shuffled_labels_give_discoveries_at_the_promised_rate(sampling: Sampling) -> None:
    random = np.random.default_rng(1)
    with_any, small, repeats = 0, [], 0
    for seed in range(4):
        planted = PlantedDatabase(replace(SMALL, traces=64), CONTRASTS[2:6], seeded(sampling, seed))
        found = observations(list(planted.traces()), least=10)
        names = np.unique(found.clusters)
        for _ in range(15):
            first = random.permutation(names)[: len(names) // 2]
            is_first = np.isin(found.clusters, first)
            p = permutation_test(found.share, is_first, found.clusters, permutations=199, seed=repeats).p
            small.append((p <= 0.05).mean())
            with_any += bool((false_discovery_control(np.clip(p, 0.0, 1.0)) <= RATE).any())
            repeats += 1
    assert np.mean(small) == pytest.approx(0.05, abs=0.02)
    # nothing differs, so every set with a discovery is a false one: binomial, two deviations above the rate
    assert with_any / repeats <= RATE + 2 * np.sqrt(RATE * (1 - RATE) / repeats)


def test_wilson_intervals_hold_the_planted_presence_as_often_as_they_say() -> None:
    held, repeats, traces = 0, 200, 30
    for seed in range(repeats):
        planted = PlantedDatabase(DatabaseSize(traces=traces), (subcircuit(presence=0.6),), Sampling(seed))
        interval = wilson(sum(drawn.mechanisms[0].form == 0 for drawn in planted.draws()), traces)
        held += interval.low <= 0.6 <= interval.high
    assert held / repeats == pytest.approx(0.95, abs=2.5 * np.sqrt(0.95 * 0.05 / repeats))


@pytest.mark.parametrize("sampling", [Sampling(), CLUSTERED])
def test_bootstrap_intervals_hold_the_truth_as_often_as_they_say(sampling: Sampling) -> None:
    repeats, traces = 120, 30 * sampling.per_cluster
    held, naive = [], []
    for seed in range(repeats):
        planted = PlantedDatabase(
            DatabaseSize(traces=traces), (subcircuit(presence=0.6), half_and_half()), seeded(sampling, seed)
        )
        truth = planted.planted.edges
        values = np.zeros((traces, len(truth)))
        clusters = np.zeros(traces, dtype=np.int64)
        for row, drawn in enumerate(planted.draws()):
            found = planted.drawn_influence(drawn)
            values[row] = [found.get(edge.edge, 0.0) for edge in truth]
            clusters[row] = drawn.cluster
        observed = np.concatenate([values, values > 0], axis=1)
        expected = [
            *(sum(edge.mean_influence) / 2 for edge in truth),
            *(sum(edge.presence) / 2 for edge in truth),
        ]
        constant = observed.std(axis=0) == 0
        for kept, names in ((held, clusters), (naive, np.arange(traces))):
            intervals = bootstrapped_means(observed, names, samples=500, seed=seed)
            inside = (intervals.low <= expected) & (expected <= intervals.high)
            kept.append(inside[~constant].mean())
    # columns of one repetition depend on each other, so that a repetition counts once
    deviation = np.sqrt(0.95 * 0.05 / repeats)
    assert np.mean(held) == pytest.approx(0.95, abs=2.5 * deviation)
    if sampling.cluster_effect:
        assert np.mean(naive) < 0.9  # what the clusters are for
