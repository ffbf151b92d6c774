"""Paths, intervals and reliability of a global circuit, against plain loops over the trace files."""

from itertools import product

import numpy as np
import pytest

from circuitbase.queries.circuit_paths import path_support, sampled
from circuitbase.queries.circuit_reliability import coverage_of, edge_intervals, split_half
from circuitbase.queries.observed_edges import ObservedEdges, observed_edges
from circuitbase.queries.rollup_choice import choose_rollup
from circuitbase.queries.selection import Selection, part_of_set, whole_set
from circuitbase.queries.selection_saving import save_selection
from circuitbase.queries.selection_sums import selection_sums
from circuitbase.store.trace_store import TraceStore
from tests.queries.conftest import StoredSets
from tests.queries.expected_sums import node_units
from tests.queries.expected_sums import observed_edges as of_trace


def selection_of(stored: StoredSets) -> tuple[TraceStore, Selection]:
    with stored.driver.session() as session:
        chosen = choose_rollup(session, "capital-en", configuration=None)
        return TraceStore(stored.settings.store_url), whole_set(session, chosen)


def frequent(stored: StoredSets, *, least: int = 3) -> list[tuple[str, str, int]]:
    times: dict[tuple[str, str, int], int] = {}
    for trace in stored.first:
        for edge in of_trace(trace):
            times[edge] = times.get(edge, 0) + 1
    return sorted(edge for edge, count in times.items() if count >= least)


def seen(stored: StoredSets) -> tuple[ObservedEdges, Selection]:
    store, selection = selection_of(stored)
    with stored.driver.session() as session:
        return observed_edges(session, store, selection, frequent(stored)), selection


def test_the_support_of_paths_is_that_of_a_plain_loop(stored_sets: StoredSets) -> None:
    store, selection = selection_of(stored_sets)
    edges = frequent(stored_sets)
    with stored_sets.driver.session() as session:
        found = path_support(session, store, selection, edges, most_traces=None)
    expected: dict[tuple[int, int], int] = {}
    for trace in stored_sets.first:
        graph, units = trace.graph, node_units(trace)
        rows = [
            (units[s], units[t], int(p), int(s), int(t))
            for s, t, p in zip(graph.edge_source, graph.edge_target, graph.edge_port, strict=True)
        ]
        in_trace = set()
        for a, b in product(rows, rows):
            if a[4] == b[3] and (a[:3] in edges) and (b[:3] in edges):
                in_trace.add((edges.index(a[:3]), edges.index(b[:3])))
        for path in in_trace:
            expected[path] = expected.get(path, 0) + 1
    assert {(edges.index(p.first), edges.index(p.second)): p.traces for p in found.found} == expected
    assert found.paths == sum(a[1] == b[0] for a, b in product(edges, edges)) >= found.realised == len(expected)
    assert all(path.traces <= path.allowed <= 8 for path in found.found)
    assert [path.traces for path in found.found] == sorted((p.traces for p in found.found), reverse=True)


def test_a_path_half_in_one_half_of_the_traces_is_not_supported(stored_sets: StoredSets) -> None:
    store, selection = selection_of(stored_sets)
    per_trace = [frozenset(of_trace(trace)) for trace in sorted(stored_sets.first, key=lambda t: t.metadata.trace_id)]
    candidates = {
        (a, b)
        for first, second in product(per_trace, per_trace)
        for a, b in product(first, second)
        if a[1] == b[0] and not any(a in each and b in each for each in per_trace)
    }
    assert candidates
    a, b = min(candidates)
    with stored_sets.driver.session() as session:
        found = path_support(session, store, selection, [a, b], most_traces=None)
    assert (found.paths, found.realised, found.share_realised) == (1, 0, 0.0)


def test_a_part_of_a_set_is_read_at_its_own_cost(stored_sets: StoredSets) -> None:
    _, selection = selection_of(stored_sets)
    with stored_sets.driver.session() as session:
        chosen = choose_rollup(session, "capital-en", configuration=None)
        part, all_of_it = (part_of_set(session, chosen, most_traces=n) for n in (3, 8))
    assert all_of_it == selection
    assert (part.traces, part.rollup) == (selection.traces[:3], None)
    drawn = sampled(selection, most_traces=3, seed=1)
    assert len(drawn.traces) == 3 and all(trace in selection.traces for trace in drawn.traces)
    assert sampled(selection, most_traces=None, seed=1) is selection


def test_intervals_hold_the_means_of_the_sums(stored_sets: StoredSets) -> None:
    found, selection = seen(stored_sets)
    for number, each in enumerate(edge_intervals(found, selection.clusters, samples=200)):
        there = found.nodes[:, number] > 0
        assert each.presence.value == there.mean()
        assert each.mean_influence.value == pytest.approx(found.influence[:, number].mean())
        assert each.mean_weight.value == pytest.approx(found.weight[there, number].mean())
        for interval in (each.presence, each.mean_influence, each.mean_share, each.mean_weight):
            assert interval.low <= interval.value <= interval.high


def test_coverage_counts_what_was_seen_once(stored_sets: StoredSets) -> None:
    store, selection = selection_of(stored_sets)
    with stored_sets.driver.session() as session:
        found = coverage_of(selection_sums(session, store, selection), traces=8)
    times = [sum(edge in of_trace(trace) for trace in stored_sets.first) for edge in frequent(stored_sets, least=1)]
    assert (found.edges, found.occurrences) == (len(times), sum(times))
    assert (found.singletons, found.doubletons) == (times.count(1), times.count(2))


def test_halves_of_traces_that_do_the_same_agree_and_of_noise_do_not() -> None:
    random = np.random.default_rng(0)
    strength = random.exponential(size=30)
    alike = strength * (1 + 0.1 * random.normal(size=(40, 30)))
    noise = random.exponential(size=(40, 30))
    clusters = [str(number // 2) for number in range(40)]
    same, different = (split_half(made(values), clusters, min_presence=0.3) for values in (alike, noise))
    assert same.influence is not None and same.influence > 0.98 and same.overlap == 1.0
    assert different.influence is not None and abs(different.influence) < 0.6
    lone = split_half(made(alike), ["one"] * 40, min_presence=0.3)
    assert (lone.influence, lone.overlap, lone.clusters) == (None, None, 1)


def made(values: np.ndarray) -> ObservedEdges:
    counts = np.ones(values.shape, dtype=np.int64)
    edges = tuple((f"s{number}", "t", 0) for number in range(values.shape[1]))
    return ObservedEdges(edges, values, values, values, values, counts, counts, counts)


def test_a_selection_becomes_a_set_with_what_was_said_of_its_prompts(stored_sets: StoredSets) -> None:
    _, selection = selection_of(stored_sets)
    assert save_selection(stored_sets.driver, selection, "mine", database="neo4j") == 8
    assert save_selection(stored_sets.driver, selection, "mine", database="neo4j") == 0
    rows = stored_sets.driver.execute_query(
        "MATCH (p:Prompt)-[a:IN_SET]->(:PromptSet {name: 'capital-en'}), (p)-[b:IN_SET]->(:PromptSet {name: 'mine'}) "
        "RETURN a.cluster = b.cluster AS same"
    ).records
    assert [row["same"] for row in rows] == [True] * 8
