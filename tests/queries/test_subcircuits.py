import pytest

from circuitbase.errors import InputError
from circuitbase.graph.lift import lift, support
from circuitbase.graph.subcircuits import shared_subcircuits
from circuitbase.graph.trace import Trace
from circuitbase.graph.unit_edges import TraceEdges, unit_edges
from circuitbase.queries.removal import remove_set, remove_trace
from circuitbase.queries.rollup_choice import choose_rollup, choose_two_rollups
from circuitbase.queries.subcircuit_storing import store_subcircuits
from circuitbase.queries.subcircuits import SubcircuitOptions, SubcircuitReport, subcircuits
from circuitbase.store.trace_store import TraceStore
from tests.queries.conftest import StoredSets
from tests.queries.expected_sums import node_units

OPTIONS = SubcircuitOptions(min_support=3, top=8, budget=300)


def of_trace(trace: Trace, *, without: tuple[str, ...]) -> TraceEdges:
    """Returns the edges of a trace, from the trace itself, without units of some kinds."""
    graph, unit = trace.graph, node_units(trace)
    kept = [
        edge
        for edge, ends in enumerate(zip(graph.edge_source, graph.edge_target, strict=True))
        if not any(word in unit[end] for end in ends for word in without)
    ]
    return TraceEdges(
        trace_id=trace.metadata.trace_id,
        unit=tuple(unit),
        position=graph.node_position.astype("int64"),
        source=graph.edge_source[kept].astype("int64"),
        target=graph.edge_target[kept].astype("int64"),
        port=graph.edge_port[kept],
        influence=graph.edge_influence[kept].astype("float64"),
    )


def report(stored: StoredSets, options: SubcircuitOptions = OPTIONS, background: str | None = None) -> SubcircuitReport:
    with stored.driver.session() as session:
        if background is None:
            return subcircuits(session, choose_rollup(session, "capital-en", configuration=None), options=options)
        chosen = choose_two_rollups(session, "capital-en", background, configuration=None)
        return subcircuits(session, *chosen, options=options)


@pytest.mark.parametrize(
    ("options", "without"),
    [
        (OPTIONS, ("/error",)),
        (SubcircuitOptions(min_support=4, top=3, budget=200, errors=True, tokens=False), ("/in/",)),
    ],
)
def test_what_is_read_from_the_database_is_what_the_traces_hold(
    stored_sets: StoredSets, options: SubcircuitOptions, without: tuple[str, ...]
) -> None:
    least = options.min_support or 0
    index = unit_edges([of_trace(trace, without=without) for trace in stored_sets.first], min_support=least)
    expected = shared_subcircuits(index, min_support=least, top=options.top, budget=options.budget)
    found = report(stored_sets, options)
    assert len(found.found) == options.top and found.n_edges == index.n_edges
    for here, there in zip(found.found, expected.found, strict=True):
        assert (here.subcircuit.edges, here.subcircuit.traces) == (there.edges, there.traces)
        assert here.subcircuit.influence == pytest.approx(there.influence)
        assert set(here.subcircuit.units) <= found.names.keys()


def test_a_background_orders_them_by_lift(stored_sets: StoredSets) -> None:
    index = unit_edges([of_trace(trace, without=()) for trace in stored_sets.second])
    found = report(stored_sets, background="capital-fr").found
    for each in found:
        behind = len(support(index, each.subcircuit.edges))
        assert each.lift == lift(each.subcircuit.support, 8, behind, 6)
    lifts = [each.lift.value for each in found if each.lift]
    assert len(lifts) == OPTIONS.top and lifts == sorted(lifts, reverse=True)
    assert {each.subcircuit for each in found} == {each.subcircuit for each in report(stored_sets).found}


def test_a_spent_budget_has_its_sentence(stored_sets: StoredSets) -> None:
    sentence = report(stored_sets, SubcircuitOptions(min_support=2, budget=10)).limit_sentence
    assert sentence and "stopped after trying 10 sets" in sentence
    assert report(stored_sets, SubcircuitOptions(min_support=8, top=1)).limit_sentence is None


def test_the_least_support_is_a_share_of_the_traces_unless_given(stored_sets: StoredSets) -> None:
    assert report(stored_sets, SubcircuitOptions(budget=1)).min_support == 3


@pytest.mark.parametrize("wrong", [0, 9])
def test_support_beyond_the_traces_is_refused(stored_sets: StoredSets, wrong: int) -> None:
    with pytest.raises(InputError, match=rf"--min-support must be from 1 to 8, .* got {wrong}"):
        report(stored_sets, SubcircuitOptions(min_support=wrong))


def test_one_trace_shares_nothing(stored_sets: StoredSets) -> None:
    for trace in stored_sets.first[1:]:
        store = TraceStore(stored_sets.settings.store_url)
        remove_trace(stored_sets.driver, trace.metadata.trace_id, store=store, database="neo4j")
    with pytest.raises(InputError, match="'capital-en' has one trace, and what recurs needs two"):
        report(stored_sets)


def test_stored_subcircuits_have_their_units_and_traces(stored_sets: StoredSets) -> None:
    found = report(stored_sets, background="capital-fr")
    stored = store_subcircuits(stored_sets.driver, found, created_by="a test", database="neo4j")
    again = store_subcircuits(stored_sets.driver, found, created_by="a test", database="neo4j")
    assert (stored, again) == (len(found.found), 0)
    rows = stored_sets.driver.execute_query(
        "MATCH (m:Motif {kind: 'subcircuit', set: 'capital-en'}) "
        "RETURN m.edges AS edges, m.size AS size, m.traces AS traces, m.lift AS lift, m.influence AS influence, "
        "[(m)-[i:INVOLVES]->(u:Unit) | [i.place, u.id]] AS units, [(m)-[:OCCURS_IN]->(t:Trace) | t.id] AS held"
    ).records
    by_edges = {tuple(row["edges"]): row for row in rows}
    assert len(by_edges) == len(found.found)
    for each in found.found:
        row = by_edges[tuple(edge.text for edge in each.subcircuit.edges)]
        assert [unit for _, unit in sorted(row["units"])] == list(each.subcircuit.units)
        assert sorted(row["held"]) == list(each.subcircuit.traces)
        assert (row["size"], row["traces"]) == (each.subcircuit.size, each.subcircuit.support)
        assert each.lift and row["lift"] == each.lift.value and row["influence"] == each.subcircuit.influence


def test_a_removed_trace_leaves_the_support_and_a_removed_set_takes_its_motifs(stored_sets: StoredSets) -> None:
    driver, store = stored_sets.driver, TraceStore(stored_sets.settings.store_url)
    found = report(stored_sets)
    store_subcircuits(driver, found, created_by="a test", database="neo4j")
    gone = found.found[0].subcircuit.traces[0]
    remove_trace(driver, gone, store=store, database="neo4j")
    rows = driver.execute_query(
        "MATCH (m:Motif) RETURN m.edges AS edges, m.traces AS traces, COUNT {(m)-[:OCCURS_IN]->(:Trace)} AS held"
    ).records
    assert len(rows) == len(found.found) and all(row["traces"] == row["held"] for row in rows)
    before = {tuple(edge.text for edge in each.subcircuit.edges): each.subcircuit for each in found.found}
    for row in rows:
        each = before[tuple(row["edges"])]
        assert row["traces"] == each.support - (gone in each.traces)
    remove_set(driver, "capital-en", database="neo4j")
    assert driver.execute_query("MATCH (m:Motif) RETURN count(m) AS n").records[0]["n"] == 0
