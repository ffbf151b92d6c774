"""How often tests and intervals are wrong over many synthetic databases whose truth is known; no database is asked."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import false_discovery_control

from circuitbase.evaluation.background_graph import DatabaseSize
from circuitbase.evaluation.planted_database import PlantedDatabase
from circuitbase.evaluation.planted_draws import Sampling
from circuitbase.evaluation.planted_mechanisms import (
    contrast_in_presence,
    contrast_in_strength,
    half_and_half,
    subcircuit,
)
from circuitbase.graph.cluster_bootstrap import bootstrapped_means
from circuitbase.graph.permutation import permutation_test
from circuitbase.graph.shared_influence import clusters_of, likeness
from circuitbase.queries.intervals import wilson
from tests.queries.planted_values import Observations, observations

SMALL = DatabaseSize(traces=40, edges=100)
CONTRASTS = (
    *(contrast_in_presence(f"presence {number}") for number in range(4)),
    *(contrast_in_strength(f"strength {number}") for number in range(4)),
)
RATE = 0.1
CLUSTERED = Sampling(per_cluster=4, cluster_effect=0.25)


def seeded(sampling: Sampling, seed: int) -> Sampling:
    return replace(sampling, seed=seed)


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
        for _ in range(12):
            first = random.permutation(names)[: len(names) // 2]
            is_first = np.isin(found.clusters, first)
            p = permutation_test(found.share, is_first, found.clusters, permutations=999, seed=repeats).p
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


def test_traces_with_one_mechanism_are_one_cluster() -> None:
    """The background alone is no structure, which a choice by silhouette could invent."""
    for seed in range(5):
        traces = list(PlantedDatabase(SMALL, mechanisms=(subcircuit(presence=1.0),), sampling=Sampling(seed)).traces())
        found = observations(traces, least=1)
        share = found.share / found.share.sum(axis=1, keepdims=True)
        assert clusters_of(likeness(csr_matrix(share))).number == 1
