import pytest
from neo4j import Driver

from circuitbase.errors import InputError
from circuitbase.ingest.migrations import migrate
from circuitbase.ingest.prompt_sets import SetPrompt, put_prompts
from circuitbase.queries.digest import Digest, digest
from circuitbase.queries.removal import remove_trace
from circuitbase.queries.rollup import roll_up
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.queries.conftest import StoredSets
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces, with_links


def whole(driver: Driver, prompt_set: str | None = None) -> Digest:
    return digest(driver, prompt_set=prompt_set, database="neo4j")


def test_the_order_of_storing_does_not_matter(database: Driver, settings: Settings) -> None:
    store, traces = TraceStore(settings.store_url), synthetic_traces(4)
    found = []
    for order in (traces, traces[::-1]):
        database.execute_query("MATCH (n) DETACH DELETE n")
        migrate(database, database="neo4j")
        for trace in order:
            put_traces(database, settings, "words", [trace])
            roll_up(database, store=store, prompt_set=None, database="neo4j")
        found.append(whole(database))
    assert found[0] == found[1]
    assert (found[0].traces, found[0].rollups) == (4, 1)


def test_what_is_added_and_removed_again_leaves_no_mark(stored_sets: StoredSets) -> None:
    driver, store = stored_sets.driver, TraceStore(stored_sets.settings.store_url)
    extra = synthetic_traces(3, first_seed=500)
    # The prompts are in the set from the beginning; only their traces come and go.
    entries = [SetPrompt(trace.metadata.prompt_id, trace.metadata.prompt) for trace in extra]
    put_prompts(driver, "capital-fr", entries, database="neo4j")
    before = whole(driver)
    for trace in put_traces(driver, stored_sets.settings, "capital-fr", extra):
        roll_up(driver, store=store, prompt_set=None, database="neo4j")
        assert whole(driver).digest != before.digest
        remove_trace(driver, trace.metadata.trace_id, store=store, database="neo4j")
    assert whole(driver) == before


@pytest.mark.parametrize(
    "change",
    [
        "MATCH ()-[p:LOOKS_FOR]->() WITH p LIMIT 1 SET p.score = p.score * 1.0001",
        "MATCH ()-[p:LOOKS_FOR]->() WITH p LIMIT 1 SET p.attention = p.attention + 0.01",
        "MATCH ()-[p:LOOKS_FOR]->() WITH p LIMIT 1 DELETE p",
        "MATCH (n:TraceNode) WHERE n.key_position = 0 SET n.key_position = 1",
    ],
)
def test_any_change_of_explained_attention_shows(database: Driver, settings: Settings, change: str) -> None:
    migrate(database, database="neo4j")
    put_traces(database, settings, "words", [with_links(synthetic_traces(1)[0])])
    before = whole(database)
    database.execute_query(change)
    assert whole(database).digest != before.digest


@pytest.mark.parametrize(
    "change",
    [
        "MATCH ()-[e:AFFECTS]->() WITH e ORDER BY e.weight LIMIT 1 SET e.weight = e.weight * 1.0001",
        "MATCH (n:TraceNode) WITH n LIMIT 1 SET n.influence = n.influence + 0.01",
        "MATCH ()-[d:DRIVES]->() WITH d ORDER BY d.key LIMIT 1 SET d.traces = d.traces + 1",
        "MATCH ()-[s:SEEN_IN]->() WITH s ORDER BY s.key LIMIT 1 SET s.activation_sum = s.activation_sum + 1",
        "MATCH ()-[e:AFFECTS]->() WITH e LIMIT 1 DELETE e",
        "MATCH (:Prompt)-[i:IN_SET]->() WITH i LIMIT 1 DELETE i",
    ],
)
def test_any_change_of_what_is_stored_shows(stored_sets: StoredSets, change: str) -> None:
    before = whole(stored_sets.driver)
    assert whole(stored_sets.driver) == before
    stored_sets.driver.execute_query(change)
    assert whole(stored_sets.driver).digest != before.digest


def test_the_digest_of_an_unknown_set_is_refused(stored_sets: StoredSets) -> None:
    with pytest.raises(InputError, match="there is no prompt set 'capitals'"):
        whole(stored_sets.driver, "capitals")
