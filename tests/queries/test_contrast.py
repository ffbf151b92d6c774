import pytest

from circuitbase.errors import InputError
from circuitbase.queries.contrast import Contrast, contrast
from circuitbase.queries.intervals import log_odds_ratio
from circuitbase.queries.rollup_choice import choose_two_rollups
from circuitbase.tracing.options import TraceOptions
from tests.queries.conftest import StoredSets
from tests.queries.expected_sums import expected_sums
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces


def read(stored: StoredSets, first: str = "capital-en", second: str = "capital-fr", **options: object) -> Contrast:
    with stored.driver.session() as session:
        chosen = choose_two_rollups(session, first, second, configuration=None)
        return contrast(session, *chosen, **options)


def test_presences_are_those_of_each_set(stored_sets: StoredSets) -> None:
    found = read(stored_sets, min_presence=0.0)
    of_first, of_second = expected_sums(stored_sets.first), expected_sums(stored_sets.second)
    assert len(found.edges) == len(of_first.edges.keys() | of_second.edges.keys())
    for edge in found.edges:
        key = (edge.source, edge.target, 0)
        in_first = of_first.edges.get(key, {}).get("traces", 0)
        in_second = of_second.edges.get(key, {}).get("traces", 0)
        assert edge.presence.first.value == in_first / 8 and edge.presence.second.value == in_second / 6
        assert edge.presence.log_odds == log_odds_ratio(int(in_first), 8, int(in_second), 6)
    for unit in found.units:
        assert unit.presence.first.value == of_first.units.get(unit.id, {}).get("traced", 0) / 8
        assert unit.presence.second.value == of_second.units.get(unit.id, {}).get("traced", 0) / 6


def test_the_universe_is_filtered_by_both_sets_together(stored_sets: StoredSets) -> None:
    everything, filtered = read(stored_sets, min_presence=0.0), read(stored_sets, min_presence=0.5)
    together = {
        edge for edge in everything.edges if edge.presence.first.value * 8 + edge.presence.second.value * 6 >= 3
    }
    assert set(filtered.edges) == together
    assert 0 < len(filtered.edges) < len(everything.edges)


def test_a_set_does_not_differ_from_itself(stored_sets: StoredSets) -> None:
    found = read(stored_sets, "capital-en", "capital-en")
    assert found.differing_units() == [] and found.differing_edges() == []
    assert not any(edge.flips for edge in found.edges)
    assert all(unit.presence.difference == 0 for unit in found.units)


def test_shared_units_are_frequent_in_both_sets(stored_sets: StoredSets) -> None:
    shared = read(stored_sets, min_presence=0.5).shared_units()
    assert shared
    assert all(min(u.presence.first.value, u.presence.second.value) >= 0.5 for u in shared)
    influence = [unit.first_influence + unit.second_influence for unit in shared]
    assert influence == sorted(influence, reverse=True)


def test_exchanging_the_sets_turns_every_sign(stored_sets: StoredSets) -> None:
    one, other = read(stored_sets), read(stored_sets, "capital-fr", "capital-en")
    mirrored = {unit.id: unit.presence.log_odds.value for unit in other.units}
    assert all(mirrored[unit.id] == pytest.approx(-unit.presence.log_odds.value) for unit in one.units)


def test_a_flip_needs_settled_and_opposite_signs(stored_sets: StoredSets) -> None:
    found = read(stored_sets, min_presence=0.0)
    of_first, of_second = expected_sums(stored_sets.first).edges, expected_sums(stored_sets.second).edges
    for edge in found.edges:
        a, b = (sums.get((edge.source, edge.target, 0)) for sums in (of_first, of_second))
        settled = [sums["positive"] / sums["traces"] for sums in (a, b) if sums]
        flips = len(settled) == 2 and min(settled) <= 0.2 and max(settled) >= 0.8
        assert edge.flips == flips


def test_sets_without_a_common_configuration_do_not_compare(stored_sets: StoredSets) -> None:
    from circuitbase.queries.rollup import roll_up
    from circuitbase.store.trace_store import TraceStore

    other = synthetic_traces(2, first_seed=300, options=TraceOptions(prune=False))
    put_traces(stored_sets.driver, stored_sets.settings, "other", other)
    roll_up(stored_sets.driver, store=TraceStore(stored_sets.settings.store_url), prompt_set="other", database="neo4j")
    with stored_sets.driver.session() as session, pytest.raises(InputError, match="no configuration in common"):
        choose_two_rollups(session, "capital-en", "other", configuration=None)
