import pytest
from neo4j import Driver

from circuitbase.errors import DatabaseError, StoreError
from circuitbase.queries.digest import digest
from circuitbase.queries.removal import remove_set, remove_trace
from circuitbase.queries.rollup import rebuild, roll_up
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.queries.expected_sums import assert_sums_equal, expected_sums, stored_sums
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces, with_links


def count(driver: Driver, label: str) -> int:
    text = "MATCH (n) WHERE $label IN labels(n) RETURN count(n) AS n"
    return int(driver.execute_query(text, label=label).records[0]["n"])


def relationships(driver: Driver, type: str) -> int:
    text = "MATCH ()-[r]->() WHERE type(r) = $type RETURN count(r) AS n"
    return int(driver.execute_query(text, type=type).records[0]["n"])


@pytest.fixture
def store(settings: Settings) -> TraceStore:
    return TraceStore(settings.store_url)


def test_removing_a_trace_subtracts_it(database: Driver, settings: Settings, store: TraceStore) -> None:
    traces = put_traces(database, settings, "words", synthetic_traces(4))
    roll_up(database, store=store, prompt_set="words", database="neo4j")
    removed = remove_trace(database, traces[1].metadata.trace_id, store=store, database="neo4j")
    assert (removed.nodes, removed.edges) == (traces[1].graph.n_nodes, traces[1].graph.n_edges)
    assert_sums_equal(stored_sums(database, "words"), expected_sums([traces[0], *traces[2:]]))
    assert count(database, "Trace") == 3
    assert count(database, "TraceNode") == sum(trace.graph.n_nodes for trace in (traces[0], *traces[2:]))


def test_removing_every_trace_leaves_no_sum_and_no_activation(
    database: Driver, settings: Settings, store: TraceStore
) -> None:
    traces = put_traces(database, settings, "words", synthetic_traces(3))
    roll_up(database, store=store, prompt_set="words", database="neo4j")
    for trace in traces:
        remove_trace(database, trace.metadata.trace_id, store=store, database="neo4j")
    for type in ("DRIVES", "SEEN_IN", "SUMMED_IN", "ACTIVATES", "AFFECTS", "OF", "CONTAINS", "OVER"):
        assert relationships(database, type) == 0, type
    for label in ("Trace", "RemovedTrace", "TraceNode", "Rollup"):
        assert count(database, label) == 0, label
    assert count(database, "Prompt") == 3


def test_removing_a_trace_with_explained_attention_leaves_nothing_of_it(
    database: Driver, settings: Settings, store: TraceStore
) -> None:
    plain, explained = synthetic_traces(2)
    put_traces(database, settings, "words", [plain])
    before = digest(database, prompt_set=None, database="neo4j").digest
    (trace,) = put_traces(database, settings, "others", [with_links(explained)])
    assert relationships(database, "LOOKS_FOR") == 6
    roll_up(database, store=store, prompt_set="others", database="neo4j")
    removed = remove_trace(database, trace.metadata.trace_id, store=store, database="neo4j")
    assert (removed.nodes, removed.edges) == (trace.graph.n_nodes, trace.graph.n_edges)
    assert relationships(database, "LOOKS_FOR") == 0
    remove_set(database, "others", database="neo4j")
    assert digest(database, prompt_set=None, database="neo4j").digest == before


def test_a_trace_that_is_not_summed_yet_is_removed_without_its_file(
    database: Driver, settings: Settings, store: TraceStore
) -> None:
    traces = put_traces(database, settings, "words", synthetic_traces(1))
    store.remove(traces[0].metadata.trace_id)
    assert remove_trace(database, traces[0].metadata.trace_id, store=store, database="neo4j").traces == 1
    assert count(database, "Trace") == 0


def test_activations_stay_while_another_trace_of_the_prompt_is_there(
    database: Driver, settings: Settings, store: TraceStore
) -> None:
    from circuitbase.tracing.options import TraceOptions

    first = synthetic_traces(1, token_ids=(0, 1, 2, 3))
    second = synthetic_traces(1, token_ids=(0, 1, 2, 3), options=TraceOptions(target="roles"))
    put_traces(database, settings, "words", [*first, *second])
    assert count(database, "Prompt") == 1
    remove_trace(database, first[0].metadata.trace_id, store=store, database="neo4j")
    assert relationships(database, "ACTIVATES") > 0
    remove_trace(database, second[0].metadata.trace_id, store=store, database="neo4j")
    assert relationships(database, "ACTIVATES") == 0


def test_a_trace_whose_file_is_gone_is_refused_until_the_sums_may_be_rebuilt(
    database: Driver, settings: Settings, store: TraceStore
) -> None:
    traces = put_traces(database, settings, "words", synthetic_traces(3))
    roll_up(database, store=store, prompt_set="words", database="neo4j")
    gone = traces[0].metadata.trace_id
    store.remove(gone)
    with pytest.raises(StoreError, match=f"{gone[:12]} is not in the store .* --rebuild"):
        remove_trace(database, gone, store=store, database="neo4j")
    with pytest.raises(StoreError, match=gone[:12]):
        rebuild(database, store=store, prompt_set="words", database="neo4j")
    assert_sums_equal(stored_sums(database, "words"), expected_sums(traces))
    remove_trace(database, gone, store=store, database="neo4j", rebuild=True)
    assert_sums_equal(stored_sums(database, "words"), expected_sums(traces[1:]))


def test_a_set_is_removed_with_what_only_it_holds(database: Driver, settings: Settings, store: TraceStore) -> None:
    traces = synthetic_traces(5)
    put_traces(database, settings, "first", traces[:3])
    put_traces(database, settings, "second", traces[2:])
    roll_up(database, store=store, prompt_set=None, database="neo4j")
    removed = remove_set(database, "first", database="neo4j")
    assert (removed.traces, removed.rollups) == (2, 1)
    assert_sums_equal(stored_sums(database, "second"), expected_sums(traces[2:]))
    assert count(database, "Prompt") == 3
    assert count(database, "PromptSet") == 1
    assert count(database, "RemovedSet") == 0
    remove_set(database, "second", database="neo4j")
    for label in ("Prompt", "PromptSet", "Trace", "TraceNode", "Rollup"):
        assert count(database, label) == 0, label


def test_what_is_not_stored_is_named(database: Driver, store: TraceStore) -> None:
    with pytest.raises(DatabaseError, match="no trace abcabc is stored"):
        remove_trace(database, "abcabc", store=store, database="neo4j")
    with pytest.raises(DatabaseError, match="no prompt set 'words'"):
        remove_set(database, "words", database="neo4j")


def test_an_interrupted_removal_is_finished_by_the_next(
    database: Driver, settings: Settings, store: TraceStore
) -> None:
    traces = put_traces(database, settings, "words", synthetic_traces(3))
    roll_up(database, store=store, prompt_set="words", database="neo4j")
    # What a process leaves that dies after hiding a trace and its set's rollup.
    database.execute_query(
        "MATCH (t:Trace {id: $id})-[tie:OF_PROMPT|UNDER|SUMMED_IN]->() DELETE tie WITH DISTINCT t "
        "SET t:RemovedTrace REMOVE t:Trace",
        id=traces[0].metadata.trace_id,
    )
    database.execute_query("MATCH (r:Rollup) SET r.stale = true")
    report = roll_up(database, store=store, prompt_set="words", database="neo4j")
    assert report.traces == 2
    assert_sums_equal(stored_sums(database, "words"), expected_sums(traces[1:]))
    remove_trace(database, traces[1].metadata.trace_id, store=store, database="neo4j")
    assert count(database, "RemovedTrace") == 0
    assert count(database, "TraceNode") == traces[2].graph.n_nodes
