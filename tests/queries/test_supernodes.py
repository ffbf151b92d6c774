import numpy as np
import pytest

from circuitbase.errors import InputError
from circuitbase.graph.subcircuits import shared_subcircuits
from circuitbase.graph.supernode_edits import SupernodeEdit
from circuitbase.graph.supernodes import supernodes
from circuitbase.graph.unit_edges import unit_edges
from circuitbase.queries import supernode_editing
from circuitbase.queries.circuit import circuit_of_sums, global_circuit
from circuitbase.queries.contrast import contrast, contrast_of_sums
from circuitbase.queries.grouped_circuit import group_of, sums_over_groups
from circuitbase.queries.grouped_edges import grouped_edges
from circuitbase.queries.relabelling import by_group
from circuitbase.queries.removal import remove_set
from circuitbase.queries.rollup import roll_up
from circuitbase.queries.rollup_choice import ChosenRollup, choose_rollup
from circuitbase.queries.selection import whole_set
from circuitbase.queries.selection_sums import selection_sums
from circuitbase.queries.subcircuits import SubcircuitOptions, subcircuits
from circuitbase.queries.supernode_storing import (
    StoredSupernode,
    add_edits,
    required_supernodes,
    store_supernodes,
    stored_edits,
    stored_supernodes,
)
from circuitbase.queries.supernodes import SupernodeOptions, SupernodeReport, supernodes_of
from circuitbase.queries.unit_shares import unit_shares
from circuitbase.store.trace_store import TraceStore
from tests.queries.columns import columns_of
from tests.queries.conftest import StoredSets
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces

LOOSE = SupernodeOptions(threshold=0.3)


def chosen(stored: StoredSets, prompt_set: str = "capital-en") -> ChosenRollup:
    with stored.driver.session() as session:
        return choose_rollup(session, prompt_set, configuration=None)


def group(stored: StoredSets, options: SupernodeOptions = LOOSE) -> SupernodeReport:
    """Groups the units of `capital-en`, obeying the edits that are stored, and stores the result."""
    with stored.driver.session() as session:
        rollup = choose_rollup(session, "capital-en", configuration=None)
        found = supernodes_of(session, rollup, options=options, edits=stored_edits(session, rollup))
    assert store_supernodes(stored.driver, found, database="neo4j") == len(found.grouping.supernodes)
    return found


def read(stored: StoredSets) -> list[StoredSupernode]:
    with stored.driver.session() as session:
        return stored_supernodes(session, chosen(stored))


def count(stored: StoredSets, text: str) -> int:
    return int(stored.driver.execute_query(text).records[0][0])


def test_supernodes_are_those_of_the_traces_and_are_kept_with_their_evidence(stored_sets: StoredSets) -> None:
    shares = unit_shares([columns_of(trace) for trace in stored_sets.first])
    held = shares.held.sum(axis=1)
    candidates = [unit for unit, n in zip(shares.units, held, strict=True) if "/F" in unit and n >= 2]
    expected = supernodes(shares, candidates, threshold=LOOSE.threshold).supernodes
    found = group(stored_sets)
    assert [each.members for each in found.grouping.supernodes] == [each.members for each in expected]
    assert found.candidates == len(candidates) and len(expected) > 3
    kept = read(stored_sets)
    assert [each.members for each in kept] == [each.members for each in expected]
    assert all(each.options == LOOSE and each.name == f"{each.names[0]} +{len(each.names) - 1}" for each in kept)
    pairs = sum(len(each.pairs) for each in expected)
    assert count(stored_sets, "MATCH (:Unit)-[r:RESEMBLES]->(:Unit) RETURN count(r)") == pairs
    group(stored_sets)  # in place of what was there
    assert count(stored_sets, "MATCH (s:Supernode) RETURN count(s)") == len(expected)
    assert count(stored_sets, "MATCH (:Unit)-[r:RESEMBLES]->(:Unit) RETURN count(r)") == pairs


def test_edits_survive_a_recomputation_with_more_traces_and_go_with_the_set(stored_sets: StoredSets) -> None:
    group(stored_sets)
    first, second, *_ = read(stored_sets)
    rollup, stored = chosen(stored_sets), read(stored_sets)
    with stored_sets.driver.session() as session:
        edits = [
            supernode_editing.pin(session, rollup, stored, first.name),
            supernode_editing.name(session, rollup, stored, first.id[:12], "first of all"),
            supernode_editing.split(session, rollup, stored, second.name, second.names[:1]),
        ]
    for edit in edits:
        add_edits(stored_sets.driver, rollup, [edit], database="neo4j")
    more = synthetic_traces(4, first_seed=500)
    put_traces(stored_sets.driver, stored_sets.settings, "capital-en", more)
    store = TraceStore(stored_sets.settings.store_url)
    roll_up(stored_sets.driver, store=store, prompt_set="capital-en", database="neo4j")
    group(stored_sets, SupernodeOptions(threshold=0.2))
    after = read(stored_sets)
    named = next(each for each in after if each.name == "first of all")
    assert named.members == first.members and named.pinned
    assert not any(second.members[0] in each.members and second.members[1] in each.members for each in after)
    with stored_sets.driver.session() as session:
        assert stored_edits(session, rollup) == edits
    remove_set(stored_sets.driver, "capital-en", database="neo4j")
    assert count(stored_sets, "MATCH (n) WHERE n:Supernode OR n:SupernodeEdit RETURN count(n)") == 0
    assert count(stored_sets, "MATCH (:Unit)-[r:RESEMBLES]->(:Unit) RETURN count(r)") == 0


def test_what_is_said_must_name_what_there_is(stored_sets: StoredSets) -> None:
    group(stored_sets)
    rollup, stored = chosen(stored_sets), read(stored_sets)
    first, second, *_ = stored
    with stored_sets.driver.session() as session:
        merged = supernode_editing.merge(session, rollup, stored, [first.name, second.names[0]])
        assert merged == SupernodeEdit("merge", tuple(sorted(first.members + second.members)))
        for sentence, refused in (
            (
                "has no supernode and no unit called 'nobody'",
                lambda: supernode_editing.pin(session, rollup, stored, "nobody"),
            ),
            ("a merge needs two or more", lambda: supernode_editing.merge(session, rollup, stored, ["L00/error"])),
            (
                "is no member of supernode",
                lambda: supernode_editing.split(session, rollup, stored, first.name, second.names[:1]),
            ),
            (
                "must take some of its",
                lambda: supernode_editing.split(session, rollup, stored, first.name, first.names),
            ),
            (
                "another supernode of 'capital-en' is called",
                lambda: supernode_editing.name(session, rollup, stored, first.name, second.name),
            ),
            ("must have a letter", lambda: supernode_editing.name(session, rollup, stored, first.name, " ")),
        ):
            with pytest.raises(InputError, match=sentence):
                refused()


def test_subcircuits_take_supernodes_as_units(stored_sets: StoredSets) -> None:
    group(stored_sets)
    stored, rollup = read(stored_sets), chosen(stored_sets)
    home = {unit: each.id for each in stored for unit in each.members}
    columns = [columns_of(trace) for trace in stored_sets.first]
    index = unit_edges([grouped_edges(each, home) for each in columns], min_support=4)
    with stored_sets.driver.session() as session:
        options = SubcircuitOptions(min_support=4, top=5, budget=100, errors=True)
        found = subcircuits(session, rollup, options=options, stored=stored)
    expected = shared_subcircuits(index, min_support=4, top=5, budget=100)
    assert [each.subcircuit.edges for each in found.found] == [each.edges for each in expected.found]
    units = {unit for each in found.found for unit in each.subcircuit.units}
    assert units & {each.id for each in stored} and not units & home.keys() and units <= found.names.keys()


@pytest.mark.parametrize("wrong", [0.0, -0.5, 1.5])
def test_a_threshold_is_a_likeness(stored_sets: StoredSets, wrong: float) -> None:
    with pytest.raises(InputError, match="must be a likeness above 0 and at most 1"):
        group(stored_sets, SupernodeOptions(threshold=wrong))


def test_a_circuit_over_single_units_is_the_circuit(stored_sets: StoredSets) -> None:
    rollup, store = chosen(stored_sets), TraceStore(stored_sets.settings.store_url)
    with stored_sets.driver.session() as session:
        expected = global_circuit(session, rollup, min_presence=0.25)
        sums = sums_over_groups(session, store, whole_set(session, rollup), [])
        found = circuit_of_sums(session, sums.sums, rollup, min_presence=0.25)
        assert sums.inner == {} and (found.n_units, found.n_edges) == (expected.n_units, expected.n_edges)
        for mine, theirs, key in (
            (found.units, expected.units, lambda unit: unit.id),
            (found.edges, expected.edges, lambda edge: (edge.source, edge.target)),
        ):
            for here, there in zip(sorted(mine, key=key), sorted(theirs, key=key), strict=True):
                assert key(here) == key(there) and here.presence == there.presence
                assert here.mean_influence == pytest.approx(there.mean_influence, abs=1e-12)
        with pytest.raises(InputError, match="'capital-en' has no stored supernodes; store them with"):
            required_supernodes(session, rollup)


def test_circuits_and_contrasts_take_supernodes_as_units(stored_sets: StoredSets) -> None:
    group(stored_sets)
    stored = read(stored_sets)
    first, second = chosen(stored_sets), chosen(stored_sets, "capital-fr")
    store = TraceStore(stored_sets.settings.store_url)
    with stored_sets.driver.session() as session:
        selections = [whole_set(session, each) for each in (first, second)]
        sums = [sums_over_groups(session, store, each, stored).sums for each in selections]
        circuit = circuit_of_sums(session, sums[0], first, min_presence=0.0, by="share")
        compared = contrast_of_sums(session, (selections[0], sums[0]), (selections[1], sums[1]), min_presence=0.0)
        plain = contrast(session, first, second, min_presence=0.0)
        relabelled = selection_sums(session, store, selections[0], relabelling=by_group(group_of(stored)))
    members = {unit for each in stored for unit in each.members}
    of_group = {unit.id: unit for unit in circuit.units if unit.kind == "Supernode"}
    assert of_group.keys() == {each.id for each in stored} and not members & {unit.id for unit in circuit.units}
    assert {unit.name for unit in of_group.values()} == {each.name for each in stored}
    assert sums[0].units == relabelled.units
    assert np.array_equal(sums[0].edge_sums.traces, relabelled.edge_sums.traces)
    assert np.allclose(sums[0].edge_sums.weight_square_sum, relabelled.edge_sums.weight_square_sum)
    in_both = {unit.id: unit for unit in compared.units}
    for each in stored:
        parts = [unit for unit in plain.units if unit.id in each.members]
        both = in_both[each.id]
        assert both.first_influence == pytest.approx(sum(unit.first_influence for unit in parts))
        assert both.presence.first.value == of_group[each.id].presence.value
        assert both.presence.second.value >= max(unit.presence.second.value for unit in parts)
