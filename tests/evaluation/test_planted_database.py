from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from circuitbase.errors import InputError
from circuitbase.evaluation.background_graph import DatabaseSize
from circuitbase.evaluation.planted_database import PlantedDatabase
from circuitbase.evaluation.planted_draws import Sampling
from circuitbase.evaluation.planted_mechanisms import half_and_half, subcircuit
from circuitbase.graph.consistency import problems
from circuitbase.queries.trace_streaming import file_columns
from circuitbase.store.trace_store import TraceStore
from tests.queries.planted_values import presences

SIZE = DatabaseSize(traces=30, edges=120)


@pytest.mark.parametrize("size", [SIZE, DatabaseSize(traces=3, edges=5_000, layers=12, positions=16, features=1_500)])
def test_every_trace_is_consistent_and_its_account_closes(size: DatabaseSize) -> None:
    edges = []
    for each in PlantedDatabase(size).traces():
        graph, metadata = each.trace.graph, each.trace.metadata
        targets = len(metadata.targets)
        assert not problems(graph, n_layers=size.layers, n_positions=size.positions, n_targets=targets)
        assert metadata.scores.stored_account_violation < 1e-6
        assert 0 < metadata.scores.replacement < 1 and 0 < metadata.scores.completeness < 1
        edges.append(graph.n_edges)
    assert 0.75 * size.edges < np.mean(edges) < 1.25 * size.edges


def test_the_store_takes_the_traces_and_gives_them_back(tmp_path: object) -> None:
    store = TraceStore(str(tmp_path))
    for each in islice(PlantedDatabase(SIZE).traces(), 3):
        store.save(each.trace)
        assert store.load(each.trace.metadata.trace_id).metadata == each.trace.metadata


def test_a_seed_makes_the_same_traces_wherever_one_begins() -> None:
    database = PlantedDatabase(SIZE, sampling=Sampling(seed=4, per_cluster=3, cluster_effect=0.1))
    ids = [each.trace.metadata.trace_id for each in database.traces()]
    assert len(set(ids)) == SIZE.traces
    again = list(database.traces(first=20))
    assert [each.trace.metadata.trace_id for each in again] == ids[20:]
    (expected,) = islice(database.traces(), 20, 21)
    for name, column in expected.trace.graph.arrays().items():
        np.testing.assert_array_equal(column, getattr(again[0].trace.graph, name))
    other = PlantedDatabase(SIZE, sampling=Sampling(seed=5))
    assert next(other.traces()).trace.metadata.trace_id not in ids
    # more traces do not change the first ones
    longer = PlantedDatabase(replace(SIZE, traces=40), sampling=database.sampling)
    assert [each.trace.metadata.trace_id for each in islice(longer.traces(), 30)] == ids


def test_traces_hold_the_planted_edges_at_the_influence_that_was_drawn() -> None:
    database = PlantedDatabase(SIZE)
    reserved = set(database.planted.unit.values())
    for each in database.traces():
        columns = file_columns(each.trace)
        influence = {
            (columns.unit[source], columns.unit[target], 0): value
            for source, target, value in zip(
                columns.edge_source, columns.edge_target, columns.edge_influence, strict=True
            )
            if columns.unit[source] in reserved
        }
        assert influence == pytest.approx(database.drawn_influence(each.drawn), rel=1e-5)


def test_the_truth_is_what_many_draws_have_on_average() -> None:
    sampling = Sampling(per_cluster=4, cluster_effect=0.1)
    database = PlantedDatabase(DatabaseSize(traces=1_500), sampling=sampling)
    edges = database.planted.edges
    values = np.zeros((1_500, len(edges)))
    labels = np.zeros(1_500, dtype=bool)
    for row, drawn in enumerate(database.draws()):
        found = database.drawn_influence(drawn)
        values[row] = [found.get(edge.edge, 0.0) for edge in edges]
        labels[row] = drawn.label
    for label in (0, 1):
        chosen = values[labels == label]
        np.testing.assert_allclose((chosen > 0).mean(axis=0), [edge.presence[label] for edge in edges], atol=0.07)
        truth = np.array([edge.mean_influence[label] for edge in edges])
        np.testing.assert_allclose(chosen.mean(axis=0), truth, rtol=0.25)


def test_two_halves_make_no_path_and_a_subcircuit_does() -> None:
    database = PlantedDatabase(SIZE, mechanisms=(half_and_half(), subcircuit(presence=0.6)))
    truth, ids = database.planted, database.planted.unit
    support = {(path.mechanism, path.first[0], path.second[1]): path.support for path in truth.paths}
    assert support["half and half", ids["half and half", "a"], ids["half and half", "c"]] == 0
    assert support["subcircuit", ids["subcircuit", "a"], ids["subcircuit", "c"]] == 0.6
    assert {edge.presence for edge in truth.of("subcircuit")} == {(0.6, 0.6)}
    assert not truth.differing


def test_presence_is_heavy_tailed() -> None:
    found = np.array(sorted(presences(PlantedDatabase(DatabaseSize(traces=60, edges=300)).traces()).values()))
    assert (found == 1).mean() > 0.3  # most pairs of units are in one trace alone
    assert (found >= 0.3 * 60).sum() >= 20


def test_mechanisms_without_room_are_refused() -> None:
    with pytest.raises(InputError, match=r"at most 0\.85 of a target's input, and may take 1\.\d\d"):
        PlantedDatabase(SIZE, mechanisms=tuple(replace(subcircuit(), name=str(number)) for number in range(9)))
    with pytest.raises(InputError, match="need 3 layers and 3 positions, got 2 and 8"):
        PlantedDatabase(replace(SIZE, layers=2))
