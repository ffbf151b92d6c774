import numpy as np
import pytest
from neo4j import Driver

from circuitbase.errors import DatabaseError, StoreError
from circuitbase.graph.trace import Trace
from circuitbase.queries.rollup import RollupReport, rebuild, roll_up
from circuitbase.queries.trace_columns import read_trace_columns
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.queries.expected_sums import assert_sums_equal, expected_sums, node_units, stored_sums
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces, with_arrays


@pytest.fixture
def store(settings: Settings) -> TraceStore:
    return TraceStore(settings.store_url)


def rolled_up(driver: Driver, store: TraceStore, prompt_set: str | None = "words") -> RollupReport:
    return roll_up(driver, store=store, prompt_set=prompt_set, database="neo4j")


def test_a_rollup_equals_the_sums_over_the_trace_files(database: Driver, settings: Settings, store: TraceStore) -> None:
    traces = put_traces(database, settings, "words", synthetic_traces(5))
    report = rolled_up(database, store)
    assert (report.traces, report.rollups) == (5, 1)
    assert_sums_equal(stored_sums(database, "words"), expected_sums(traces))


def test_what_is_summed_is_not_summed_again(database: Driver, settings: Settings, store: TraceStore) -> None:
    traces = put_traces(database, settings, "words", synthetic_traces(3))
    rolled_up(database, store)
    assert rolled_up(database, store) == RollupReport()
    traces += put_traces(database, settings, "words", synthetic_traces(1, first_seed=50))
    assert rolled_up(database, store).traces == 1
    assert_sums_equal(stored_sums(database, "words"), expected_sums(traces))


def test_a_prompt_in_two_sets_is_in_the_sums_of_both(database: Driver, settings: Settings, store: TraceStore) -> None:
    traces = put_traces(database, settings, "words", synthetic_traces(3))
    put_traces(database, settings, "others", traces[2:])
    report = rolled_up(database, store, None)
    assert (report.traces, report.rollups) == (4, 2)
    assert_sums_equal(stored_sums(database, "words"), expected_sums(traces))
    assert_sums_equal(stored_sums(database, "others"), expected_sums(traces[2:]))


def test_a_feature_that_only_fired_becomes_a_unit_like_any_other(
    database: Driver, settings: Settings, store: TraceStore
) -> None:
    put_traces(database, settings, "words", synthetic_traces(2))
    # as if ingest had kept only the strongest: the rest is known from the trace file alone
    database.execute_query("MATCH (u:Feature) WHERE NOT (u)<-[:OF]-() DETACH DELETE u")
    rolled_up(database, store)
    (row,) = database.execute_query(
        "MATCH (u:Feature)-[s:SEEN_IN]->() WHERE s.traced = 0 "
        "RETURN count(*) AS n, count(CASE WHEN (u)-[:IN_DICTIONARY]->() THEN 1 END) AS linked, "
        "collect(DISTINCT size(labels(u))) AS labels, collect(DISTINCT u.kind) AS kinds"
    ).records
    assert row["n"] == row["linked"] > 0
    assert (row["labels"], row["kinds"]) == ([3], ["Feature"])


def test_a_missing_trace_file_gets_a_sentence_and_the_others_are_added(
    database: Driver, settings: Settings, store: TraceStore
) -> None:
    traces = put_traces(database, settings, "words", synthetic_traces(3))
    gone = traces[1].metadata.trace_id
    store.remove(gone)
    with pytest.raises(
        StoreError, match=rf"file of trace {gone[:12]} is not in the store .*circuitbase remove {gone[:12]}"
    ):
        rolled_up(database, store)
    assert_sums_equal(stored_sums(database, "words"), expected_sums([traces[0], traces[2]]))


def test_a_rebuild_replaces_sums_that_were_wrong(database: Driver, settings: Settings, store: TraceStore) -> None:
    traces = put_traces(database, settings, "words", synthetic_traces(3))
    rolled_up(database, store)
    database.execute_query("MATCH ()-[d:DRIVES]->() SET d.traces = d.traces + 1, d.weight_sum = 7.0")
    assert rebuild(database, store=store, prompt_set="words", database="neo4j").traces == 3
    assert_sums_equal(stored_sums(database, "words"), expected_sums(traces))


def test_columns_are_those_of_the_trace_file(database: Driver, settings: Settings) -> None:
    (trace,) = put_traces(database, settings, "words", synthetic_traces(1))
    columns, graph = columns_of(database, trace), trace.graph
    order = np.lexsort((columns.edge_source, columns.edge_target))
    assert list(columns.unit) == node_units(trace)
    assert np.array_equal(columns.activation, graph.node_activation)
    assert np.array_equal(columns.edge_weight[order], graph.edge_weight)
    assert np.array_equal(columns.edge_influence[order], graph.edge_influence)
    assert not columns.edge_port.any()
    stored = database.execute_query("MATCH ()-[e:AFFECTS]->() RETURN sum(e.share) AS share").records[0]["share"]
    assert columns.edge_share.sum() == pytest.approx(stored)


def test_ports_are_read_where_a_trace_is_of_components(database: Driver, settings: Settings) -> None:
    (trace,) = synthetic_traces(1)
    ports = (np.arange(trace.graph.n_edges) % 4).astype(np.uint8)
    put_traces(database, settings, "words", [with_arrays(trace, edge_port=ports)])
    database.execute_query("MATCH (c:Configuration) SET c.kind = 'components'")
    columns = columns_of(database, trace)
    order = np.lexsort((columns.edge_port, columns.edge_source, columns.edge_target))
    assert np.array_equal(columns.edge_port[order], ports)


def test_a_trace_that_lost_a_part_is_refused(database: Driver, settings: Settings, store: TraceStore) -> None:
    (trace,) = put_traces(database, settings, "words", synthetic_traces(1))
    database.execute_query("MATCH ()-[e:AFFECTS]->() WITH e LIMIT 1 DELETE e")
    n_edges = trace.graph.n_edges
    with pytest.raises(
        DatabaseError, match=rf"{n_edges} edges, but {trace.graph.n_nodes} and {n_edges - 1} are stored"
    ):
        rolled_up(database, store)


def columns_of(driver: Driver, trace: Trace):
    with driver.session() as session:
        columns = session.execute_read(read_trace_columns, trace.metadata.trace_id)
    assert columns is not None
    return columns
