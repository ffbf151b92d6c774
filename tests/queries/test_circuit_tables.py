from dataclasses import replace

import pytest

from circuitbase.graph.tables import tables_to_networkx
from circuitbase.queries.circuit import global_circuit
from circuitbase.queries.circuit_tables import TYPES, circuit_tables
from circuitbase.queries.rollup_choice import choose_rollup
from tests.queries.conftest import StoredSets


def test_a_global_circuit_becomes_a_graph_with_all_that_is_known_of_it(stored_sets: StoredSets):
    with stored_sets.driver.session(database="neo4j") as session:
        chosen = choose_rollup(session, "capital-en", configuration=None)
        found = global_circuit(session, chosen, min_presence=0.5)
    unit = found.units[0]
    tables = circuit_tables(found, labels={unit.id: "a label"})
    view = tables_to_networkx(tables)
    assert view.number_of_nodes() == len(found.units) == tables.n_nodes
    assert view.number_of_edges() == len(found.edges) == tables.n_edges
    assert view.graph["prompt_set"] == "capital-en" and view.graph["traces"] == 8
    node = view.nodes[unit.id]
    assert (node["label"], node["name"], node["kind"]) == ("a label", unit.name, unit.kind)
    assert (node["presence"], node["presence_low"]) == (unit.presence.value, unit.presence.low)
    assert node["mean_influence"] == unit.mean_influence
    edge = found.edges[0]
    data = view.edges[edge.source, edge.target]
    assert data["mean_weight"] == edge.mean_weight
    assert data["sign_agreement_high"] == edge.sign_agreement.high
    assert data["conditional_presence"] == edge.conditional_presence.value
    assert {*tables.nodes, *tables.edges} == set(TYPES)
    for name, column in (*tables.nodes.items(), *tables.edges.items()):
        assert {type(value) for value in column} - {type(None)} <= {TYPES[name]}, name


def test_an_end_that_is_no_unit_of_the_circuit_has_its_name(stored_sets: StoredSets):
    with stored_sets.driver.session(database="neo4j") as session:
        chosen = choose_rollup(session, "capital-en", configuration=None)
        found = global_circuit(session, chosen, min_presence=0.5, max_units=1)
    tables = circuit_tables(replace(found, units=()))
    assert tables.n_nodes == len({end for edge in found.edges for end in (edge.source, edge.target)})
    assert None not in tables.nodes["name"]
    assert set(tables.nodes["presence"]) == {None}
    assert pytest.approx(found.edges[0].mean_weight) == tables.edges["mean_weight"][0]
