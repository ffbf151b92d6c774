from collections import Counter

import numpy as np
import pytest

from circuitbase.errors import DatabaseError, InputError
from circuitbase.graph.motifs.counts import motif_counts
from circuitbase.graph.motifs.edge_support import UnitGraph
from circuitbase.graph.motifs.instances import motif_instances
from circuitbase.graph.motifs.motif_type import TYPES, MotifType, Shape
from circuitbase.graph.motifs.null_model import NullOptions, null_counts
from circuitbase.graph.motifs.occurrences import occurrences
from circuitbase.graph.motifs.signed_graph import signed_graph
from circuitbase.graph.trace import Trace
from circuitbase.queries import library
from circuitbase.queries.motif_storing import store_motifs
from circuitbase.queries.motifs import drawn, motif_totals, parsed_type, set_instances, set_motifs
from circuitbase.queries.reading import run_read_only
from circuitbase.queries.rollup_choice import ChosenRollup, choose_rollup
from circuitbase.queries.unit_graphs import summed_trace_ids, unit_graph, unit_graphs, unit_names
from circuitbase.schema.kinds import NodeKind
from tests.ingest.contents import contents, rows, value
from tests.queries.conftest import StoredSets

FEW = NullOptions(samples=9, rounds=3)


def of_file(trace: Trace) -> UnitGraph:
    """The same from the trace file's arrays."""
    columns = trace.graph
    ends = (columns.edge_source, columns.edge_target, columns.edge_weight)
    graph = signed_graph(columns.node_kind, columns.node_layer, columns.node_position, *ends)
    unit = [
        trace.unit_id(NodeKind(int(kind)), int(layer), int(unit))
        for kind, layer, unit in zip(columns.node_kind, columns.node_layer, columns.node_unit, strict=True)
    ]
    return UnitGraph(trace.metadata.trace_id, graph, tuple(unit[node] for node in graph.node))


@pytest.fixture
def rollup(stored_sets: StoredSets) -> ChosenRollup:
    with stored_sets.driver.session(database="neo4j") as session:
        return choose_rollup(session, "capital-en", configuration=None)


def test_a_stored_trace_reads_back_as_its_file(stored_sets: StoredSets, rollup: ChosenRollup) -> None:
    by_id = {trace.metadata.trace_id: of_file(trace) for trace in stored_sets.first}
    with stored_sets.driver.session(database="neo4j") as session:
        ids = summed_trace_ids(session, rollup)
        found = list(unit_graphs(session, ids))
    assert ids == sorted(by_id)
    for each in found:
        expected = by_id[each.trace_id]
        assert each.unit == expected.unit
        for name in ("node", "kind", "layer", "position", "source", "target", "is_positive", "same_position"):
            assert np.array_equal(getattr(each.graph, name), getattr(expected.graph, name)), name


def test_counts_and_samples_are_summed_over_traces(stored_sets: StoredSets, rollup: ChosenRollup) -> None:
    graphs = [of_file(trace) for trace in stored_sets.first]
    told: list[tuple[str, int, int]] = []
    with stored_sets.driver.session(database="neo4j") as session:
        ids = summed_trace_ids(session, rollup)
        found = motif_totals(session, ids, options=FEW, progress=lambda *done: told.append(done))
    counts = [motif_counts(each.graph) for each in graphs]
    null = [null_counts(each.graph, options=FEW, trace_id=each.trace_id) for each in graphs]
    assert (found.count == sum(counts)).all() and found.count.sum() > 0
    assert (found.null == sum(each.counts for each in null)).all()
    assert (found.traces_with == sum(each > 0 for each in counts)).all()
    assert (found.traces, found.edges) == (8, sum(each.graph.n_edges for each in graphs))
    assert found.moved == pytest.approx(sum(each.moved for each in null))
    assert told == [("randomised", done, 8) for done in range(1, 9)]


def test_a_set_has_its_types_in_order_and_says_what_was_asked(stored_sets: StoredSets, rollup: ChosenRollup) -> None:
    with stored_sets.driver.session(database="neo4j") as session:
        found = set_motifs(session, rollup, options=FEW, detail="shape", correction="holm")
        part = set_motifs(session, rollup, options=FEW, detail="shape", max_traces=3)
        again = set_motifs(session, rollup, options=FEW, detail="shape", max_traces=3)
    shapes = [each.type.shape for each in found.types]
    assert shapes == [shape for shape in Shape if shape in shapes] and Shape.DIAMOND in shapes
    assert (found.traces, found.correction) == (8, "holm") and 0 < found.moved_share < 1
    assert part == again and part.traces == 3
    assert part.types[0].count < found.types[0].count


def test_instances_have_the_support_of_the_files(stored_sets: StoredSets, rollup: ChosenRollup) -> None:
    expected: Counter[tuple[MotifType, tuple[str, ...]]] = Counter()
    for graph in map(of_file, stored_sets.first):
        place = {node: at for at, node in enumerate(graph.graph.node.tolist())}
        found = motif_instances(graph.graph, shapes=[Shape.CHAIN])
        expected.update({(each.type, tuple(graph.unit[place[node]] for node in each.nodes)) for each in found})
    with stored_sets.driver.session(database="neo4j") as session:
        listed = set_instances(session, rollup, MotifType(Shape.CHAIN), min_presence=0.25, top=10**6)
    often = {key: count for key, count in expected.items() if count >= 2}
    assert {(each.type, each.units): each.traces for each in listed.motifs} == often and often
    assert (listed.least, listed.traces, listed.n_found) == (2, 8, len(often))


def test_fans_are_listed_with_their_branches(stored_sets: StoredSets, rollup: ChosenRollup) -> None:
    with stored_sets.driver.session(database="neo4j") as session:
        found = set_instances(session, rollup, MotifType(Shape.FAN_IN), min_presence=0.25, min_size=2)
        assert found.motifs and all(each.size >= 3 and each.traces >= 2 for each in found.motifs)
        names = unit_names(session, found.motifs[0].units)
    assert set(names) == set(found.motifs[0].units)


def test_a_trace_that_is_gone_or_incomplete_is_one_sentence(stored_sets: StoredSets) -> None:
    trace = stored_sets.first[0].metadata.trace_id
    stored_sets.driver.execute_query(
        "MATCH (:Trace {id: $id})-[:CONTAINS]->()-[e:AFFECTS]->() WITH e LIMIT 1 DELETE e", {"id": trace}
    )
    with stored_sets.driver.session(database="neo4j") as session:
        with pytest.raises(DatabaseError, match=f"trace {trace[:12]} should have .* edges, but .* are stored"):
            unit_graph(session, trace)
        with pytest.raises(DatabaseError, match="trace abc was removed while its prompt set was read"):
            unit_graph(session, "abc")


def test_options_out_of_range_are_one_sentence(stored_sets: StoredSets, rollup: ChosenRollup) -> None:
    with stored_sets.driver.session(database="neo4j") as session:
        with pytest.raises(InputError, match="at least 1 of its samples, got 0"):
            set_motifs(session, rollup, options=NullOptions(samples=0))
        with pytest.raises(InputError, match="at least 1 trace is needed, got a maximum of 0"):
            set_motifs(session, rollup, options=FEW, max_traces=0)
        with pytest.raises(InputError, match="a fraction from 0 to 1, got 30"):
            set_instances(session, rollup, MotifType(Shape.CHAIN), min_presence=30.0)


def test_drawn_traces_depend_on_the_seed_alone() -> None:
    ids = [f"{number:03}" for number in range(50)]
    first, other = drawn(ids, most=5, seed=0), drawn(ids, most=5, seed=1)
    assert first == drawn(ids, most=5, seed=0) == sorted(first) and len(set(first)) == 5
    assert first != other
    assert drawn(ids, most=50, seed=3) == ids


def test_a_type_is_named_by_its_shape_and_any_of_the_rest() -> None:
    assert parsed_type("chain") == MotifType(Shape.CHAIN)
    assert parsed_type("coherent-ffl:+++:so") == MotifType(Shape.COHERENT_LOOP, "+++", "so")
    assert parsed_type("chain:so") == MotifType(Shape.CHAIN, None, "so")
    assert {parsed_type(type.name) for type in TYPES} == set(TYPES)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("triangle", "there is no motif 'triangle'; there are: chain, coherent-ffl, .*, fan-out"),
        ("chain:+++", r"there is no motif 'chain:\+\+\+'; of this shape there are: chain:\+\+:ss"),
        ("chain:x", "there is no motif 'chain:x'"),
        ("coherent-ffl:++-", "there is no motif"),
        ("chain:++:++", "there is no motif"),
        ("chain:", "there is no motif 'chain:'"),
    ],
)
def test_a_type_that_is_none_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parsed_type(text)


def test_motifs_are_stored_with_units_in_their_places_and_the_traces(
    stored_sets: StoredSets, rollup: ChosenRollup
) -> None:
    driver = stored_sets.driver
    with driver.session(database="neo4j") as session:
        found = set_instances(session, rollup, MotifType(Shape.COHERENT_LOOP), min_presence=0.0, top=4)
        where = occurrences(unit_graphs(session, summed_trace_ids(session, rollup)), found.motifs)
    assert [len(traces) for traces in where.values()] == [motif.traces for motif in found.motifs]
    assert store_motifs(driver, rollup, where, created_by="test", database="neo4j") == 4
    stored = rows(
        driver,
        "MATCH (m:Motif) RETURN properties(m) AS motif, "
        "COLLECT { MATCH (m)-[i:INVOLVES]->(u:Unit) RETURN u.id ORDER BY i.place } AS units, "
        "COLLECT { MATCH (m)-[:OCCURS_IN]->(t:Trace) RETURN t.id ORDER BY t.id } AS traces",
    )
    by_units = {(*motif.units, motif.type.name): (motif, traces) for motif, traces in where.items()}
    for row in stored:
        motif, traces = by_units[*row["units"], row["motif"]["type"]]
        assert row["traces"] == list(traces)
        kept = {name: each for name, each in row["motif"].items() if name not in ("id", "edges")}
        assert kept == {
            "kind": "structural",
            "type": motif.type.name,
            "size": 3,
            "traces": motif.traces,
            "set": "capital-en",
            "configuration": rollup.configuration,
            "created_by": "test",
        }
        first = f"{motif.units[0]} -> {motif.units[1]}; {motif.signs[0]} "
        assert row["motif"]["edges"][0].startswith(first) and len(row["motif"]["edges"]) == 3
    before = [row for row in contents(driver) if "'Lease'" not in row]
    assert store_motifs(driver, rollup, where, created_by="test", database="neo4j") == 0
    assert [row for row in contents(driver) if "'Lease'" not in row] == before
    assert value(driver, "MATCH (m:Motif) RETURN count(m)") == 4


def test_the_cypher_of_loops_finds_what_is_listed(stored_sets: StoredSets, rollup: ChosenRollup) -> None:
    with stored_sets.driver.session(database="neo4j") as session:
        listed = [
            motif
            for shape in (Shape.COHERENT_LOOP, Shape.INCOHERENT_LOOP)
            for motif in set_instances(session, rollup, MotifType(shape), min_presence=0.0, top=10**6).motifs
        ]
        names = unit_names(session, sorted({unit for motif in listed for unit in motif.units}))
    query = library.load("feed-forward-loops")
    arguments = query.arguments({"min_traces": 1, "limit": 100_000})
    found = run_read_only(stored_sets.driver, query.text, arguments, database="neo4j").rows
    expected = {
        (*(names[unit] for unit in motif.units), motif.signs, motif.positions): (
            motif.traces,
            motif.shape == Shape.COHERENT_LOOP,
        )
        for motif in listed
    }
    columns = ("a", "b", "c", "signs", "positions")
    assert {tuple(row[name] for name in columns): (row["support"], row["coherent"]) for row in found} == expected
    assert len(found) == len(listed) > 20
