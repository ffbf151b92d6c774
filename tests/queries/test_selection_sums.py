from dataclasses import fields

import numpy as np
import pytest
from neo4j import Driver

from circuitbase.errors import InputError
from circuitbase.queries import selection_sums as module
from circuitbase.queries.circuit import circuit_of_sums, global_circuit
from circuitbase.queries.contrast import contrast, contrast_of_sums
from circuitbase.queries.observed_edges import observed_edges
from circuitbase.queries.relabelling import by_group, by_role, unit_and_role
from circuitbase.queries.rollup_choice import choose_rollup
from circuitbase.queries.rollup_sums import RollupSums
from circuitbase.queries.selection import Selection, as_chosen, whole_set
from circuitbase.queries.selection_sums import selection_sums
from circuitbase.queries.trace_columns import read_trace_columns
from circuitbase.queries.trace_streaming import file_columns, streamed_traces
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.queries.conftest import StoredSets
from tests.queries.expected_sums import COUNTS, EDGE_SUMS, UNIT_SUMS, expected_sums
from tests.queries.expected_sums import observed_edges as expected_edges
from tests.queries.labelled_sets import labelled_traces, put_labelled


def chosen_set(stored: StoredSets, name: str = "capital-en") -> tuple[TraceStore, Selection]:
    with stored.driver.session() as session:
        return TraceStore(stored.settings.store_url), whole_set(
            session, choose_rollup(session, name, configuration=None)
        )


def summed(stored: StoredSets, **options: object) -> RollupSums:
    store, selection = chosen_set(stored)
    with stored.driver.session() as session:
        return selection_sums(session, store, selection, **options)


def test_a_file_gives_the_columns_that_neo4j_gives(stored_sets: StoredSets) -> None:
    for trace in stored_sets.first:
        with stored_sets.driver.session() as session:
            stored = read_trace_columns(session, trace.metadata.trace_id)
        found = file_columns(trace)
        assert stored is not None
        order = [np.lexsort((each.edge_port, each.edge_source, each.edge_target)) for each in (found, stored)]
        for field in fields(found):
            mine, theirs = getattr(found, field.name), getattr(stored, field.name)
            if field.name.startswith("edge_"):
                assert np.allclose(mine[order[0]], theirs[order[1]], rtol=1e-7), field.name
            else:
                assert np.array_equal(mine, theirs) if isinstance(mine, np.ndarray) else mine == theirs


@pytest.mark.parametrize("most_rows", [10, 1_000_000])
def test_sums_on_the_fly_are_those_of_a_plain_loop(
    stored_sets: StoredSets, monkeypatch: pytest.MonkeyPatch, most_rows: int
) -> None:
    monkeypatch.setattr(module, "BATCH", 3)
    monkeypatch.setattr(module, "MOST_ROWS", most_rows)
    found, expected = summed(stored_sets), expected_sums(stored_sets.first)
    edges = found.edge_sums
    assert len(edges.source) == len(expected.edges)
    for row in range(len(edges.source)):
        key = (found.units[edges.source[row]], found.units[edges.target[row]], int(edges.port[row]))
        for name in EDGE_SUMS:
            assert getattr(edges, name)[row] == pytest.approx(expected.edges[key][name], rel=1e-6, abs=1e-9)
    for row, place in enumerate(found.unit_sums.unit):
        for name in UNIT_SUMS:
            value = expected.units[found.units[place]][name]
            assert getattr(found.unit_sums, name)[row] == pytest.approx(value, rel=1e-6, abs=1e-9)
    assert {name for name in COUNTS if name in EDGE_SUMS} <= {f.name for f in fields(edges)}


def test_a_circuit_and_a_contrast_on_the_fly_are_those_of_the_rollup(stored_sets: StoredSets) -> None:
    store, first = chosen_set(stored_sets)
    _, second = chosen_set(stored_sets, "capital-fr")
    assert first.rollup is not None and second.rollup is not None
    with stored_sets.driver.session() as session:
        sums = [selection_sums(session, store, each) for each in (first, second)]
        stored = global_circuit(session, first.rollup, min_presence=0.4)
        fresh = circuit_of_sums(session, sums[0], as_chosen(first), min_presence=0.4)
        assert {edge.source + edge.target: edge.presence for edge in fresh.edges} == {
            edge.source + edge.target: edge.presence for edge in stored.edges
        }
        assert [unit.id for unit in fresh.units] == [unit.id for unit in stored.units]
        by_ends = {(edge.source, edge.target): edge for edge in stored.edges}
        for edge in fresh.edges:
            other = by_ends[edge.source, edge.target]
            for field in ("mean_weight", "mean_influence", "weight_deviation", "target_weighted_effect"):
                assert getattr(edge, field) == pytest.approx(getattr(other, field), rel=1e-6, abs=1e-9)
        compared = contrast(session, first.rollup, second.rollup)
        again = contrast_of_sums(session, (first, sums[0]), (second, sums[1]))
    assert {(e.source, e.target, e.presence, e.flips) for e in again.edges} == {
        (e.source, e.target, e.presence, e.flips) for e in compared.edges
    }
    assert {(u.id, u.presence) for u in again.units} == {(u.id, u.presence) for u in compared.units}
    assert again.first.mean_tokens == compared.first.mean_tokens


def test_too_many_traces_are_refused_before_any_is_read(stored_sets: StoredSets) -> None:
    with pytest.raises(InputError, match="capital-en has 8 traces, and at most 7 are summed on the fly"):
        summed(stored_sets, most_traces=7)


def test_a_trace_whose_file_is_gone_is_read_from_neo4j(stored_sets: StoredSets) -> None:
    before = summed(stored_sets).edge_sums
    store = TraceStore(stored_sets.settings.store_url)
    store.remove(stored_sets.first[0].metadata.trace_id)
    after = summed(stored_sets).edge_sums
    assert np.array_equal(before.traces, after.traces)
    assert np.allclose(before.weight_sum, after.weight_sum)


def test_progress_is_told_of_every_trace(stored_sets: StoredSets) -> None:
    heard: list[tuple[int, int]] = []
    summed(stored_sets, heard=lambda done, total: heard.append((done, total)))
    assert heard == [(number, 8) for number in range(1, 9)]


def test_chosen_edges_are_observed_in_every_trace(stored_sets: StoredSets) -> None:
    store, selection = chosen_set(stored_sets)
    per_trace = {trace.metadata.trace_id: expected_edges(trace) for trace in stored_sets.first}
    edges = sorted({edge for found in per_trace.values() for edge in found})[::7]
    with stored_sets.driver.session() as session:
        found = observed_edges(session, store, selection, edges)
    for row, selected in enumerate(selection.traces):
        for column, edge in enumerate(edges):
            expected = per_trace[selected.id].get(edge, {})
            for name in ("weight", "share", "influence", "target_weighted", "same_position"):
                assert getattr(found, name)[row, column] == pytest.approx(expected.get(name, 0.0), rel=1e-6, abs=1e-9)
            assert (found.nodes[row, column] > 0) == (edge in per_trace[selected.id])
    assert (found.share_per_target <= found.share + 1e-12).all()


def test_units_are_told_apart_by_role(database: Driver, settings: Settings) -> None:
    traces = labelled_traces(4)
    put_labelled(database, settings, "cities", traces)
    store = TraceStore(settings.store_url)
    with database.session() as session:
        selection = whole_set(session, choose_rollup(session, "cities", configuration=None))
        sums = selection_sums(session, store, selection, relabelling=by_role)
        found = circuit_of_sums(session, sums, as_chosen(selection), min_presence=0.0)
        streamed = list(streamed_traces(session, store, selection))
    names = {unit.name for unit in found.units}
    assert {"[city]", "[state]", "[elsewhere]"} <= names
    assert any(name.endswith("[city]") and name.startswith("L") for name in names)
    tokens = [unit for unit in found.units if unit.kind == "InputToken"]
    assert {unit.presence.value for unit in tokens} == {1.0}  # every prompt has these roles
    for each in streamed:
        columns, _ = each.relabelled(by_role)
        assert len(columns.edge_source) == len(each.columns.edge_source)  # none is within a unit
        assert columns.edge_weight.sum() == pytest.approx(each.columns.edge_weight.sum())


def test_an_id_with_a_role_is_taken_apart_again() -> None:
    feature = "org/m@12345678/tc@87654321/mlp/L05/F01234"
    assert unit_and_role(f"{feature}@city") == (feature, "city")
    assert unit_and_role(feature) == (feature, None)
    assert unit_and_role("m@12345678/in/@city") == ("", "city")
    assert unit_and_role("m@12345678/in/77") == ("m@12345678/in/77", None)
    assert unit_and_role("m@12345678/role/answer") == ("m@12345678/role/answer", None)


def test_groups_are_summed_as_one_unit_without_what_is_inside(stored_sets: StoredSets) -> None:
    features = sorted({u for t in stored_sets.first for u in expected_sums([t]).units if "/F" in u})
    plain = summed(stored_sets)
    grouped = summed(stored_sets, relabelling=by_group(dict.fromkeys(features, "all features")))
    assert "all features" in grouped.units and not set(features) & set(grouped.units)
    ends = plain.edge_sums
    inner = np.array(
        ["/F" in plain.units[s] and "/F" in plain.units[t] for s, t in zip(ends.source, ends.target, strict=True)]
    )
    assert inner.any()
    assert grouped.edge_sums.weight_sum.sum() == pytest.approx(ends.weight_sum[~inner].sum())
    assert grouped.edge_sums.traces.max() <= 8  # presence is counted in traces, not added up
