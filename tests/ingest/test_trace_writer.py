from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from neo4j import Driver, ManagedTransaction

from circuitbase.errors import DatabaseError
from circuitbase.graph.trace import Trace
from circuitbase.ingest import statements, trace_rows, trace_writer
from circuitbase.ingest.activations import feature_activations
from circuitbase.ingest.connection import open_driver
from circuitbase.ingest.trace_writer import StoredTrace, store_trace
from circuitbase.schema.kinds import NodeKind
from circuitbase.settings import Settings
from circuitbase.tracing.options import RoleTarget, TraceOptions
from tests.ingest.contents import contents, counts, rows, value
from tests.synthetic import synthetic_trace, synthetic_traces, with_links
from tests.tiny_models import tiny_trace

DATABASE = "neo4j"
TRACE_PARTS = {"Trace", "TraceNode", "CONTAINS", "OF", "AFFECTS", "OF_PROMPT", "UNDER", "ACTIVATES"}


def store(driver: Driver, trace: Trace) -> StoredTrace:
    return store_trace(driver, trace, database=DATABASE)


def test_the_database_holds_what_the_trace_holds(database: Driver):
    trace = synthetic_trace(0)
    graph = trace.graph
    stored = store(database, trace)
    assert (stored.stored, stored.n_nodes, stored.n_edges) == (True, graph.n_nodes, graph.n_edges)
    found = rows(
        database,
        "MATCH (:Trace {id: $id})-[:CONTAINS]->(n:TraceNode)-[:OF]->(u:Unit) "
        "RETURN properties(n) AS n, u.id AS unit ORDER BY n.index",
        id=trace.metadata.trace_id,
    )
    for name in ("activation", "influence", "preactivation", "rest", "bias_effect", "absolute_input"):
        column = [row["n"].get(name, np.nan) for row in found]
        np.testing.assert_array_equal(np.array(column, np.float32), getattr(graph, f"node_{name}"))
    assert [row["unit"] for row in found] == [
        trace.unit_id(NodeKind(kind), layer, unit)
        for kind, layer, unit in zip(
            graph.node_kind.tolist(), graph.node_layer.tolist(), graph.node_unit.tolist(), strict=True
        )
    ]
    edges = rows(
        database,
        "MATCH (s:TraceNode)-[e:AFFECTS]->(t:TraceNode) "
        "RETURN s.index AS s, t.index AS t, e.weight AS w, e.influence AS i ORDER BY t, s",
    )
    np.testing.assert_array_equal([row["s"] for row in edges], graph.edge_source)
    np.testing.assert_array_equal([row["t"] for row in edges], graph.edge_target)
    np.testing.assert_array_equal(np.array([row["w"] for row in edges], np.float32), graph.edge_weight)
    np.testing.assert_array_equal(np.array([row["i"] for row in edges], np.float32), graph.edge_influence)


def test_explained_attention_is_stored_as_pairs_between_trace_nodes(database: Driver):
    trace = with_links(synthetic_trace(0))
    graph = trace.graph
    store(database, trace)
    found = rows(
        database,
        "MATCH (q:TraceNode)-[p:LOOKS_FOR]->(k:TraceNode) "
        "RETURN p.link AS link, q.index AS query_node, k.index AS key_node, p.score AS score, "
        "p.attention AS attention ORDER BY link, query_node, key_node",
    )
    for name in ("link", "query_node", "key_node", "score", "attention"):
        np.testing.assert_array_equal([row[name] for row in found], getattr(graph, f"pair_{name}"))
    links = rows(
        database,
        "MATCH (n:TraceNode)-[:OF]->(u:AttentionLink) RETURN u.name AS name, n.key_position AS key ORDER BY key",
    )
    assert links == [{"name": "L02/head/1/link", "key": 0}, {"name": "L02/head/1/link", "key": 4}]
    assert store(database, trace).array_digest == value(database, "MATCH (t:Trace) RETURN t.array_digest")


def test_a_trace_is_tied_to_its_prompt_configuration_dictionary_and_model(database: Driver):
    trace = synthetic_trace(0)
    store(database, trace)
    found = rows(
        database,
        "MATCH (p:Prompt)<-[:OF_PROMPT]-(t:Trace)-[:UNDER]->(c:Configuration)-[:USES]->(d:Dictionary) "
        "MATCH (d)-[:READS]->(m:Model)<-[:OF_MODEL]-(c) RETURN p.id AS p, t.id AS t, c.id AS c, d.id AS d, m.id AS m",
    )
    metadata = trace.metadata
    assert metadata.dictionary is not None
    assert found == [
        {
            "p": metadata.prompt_id,
            "t": metadata.trace_id,
            "c": metadata.configuration_id,
            "d": metadata.dictionary.id,
            "m": metadata.model.id,
        }
    ]


def test_units_carry_labels_and_features_their_dictionary(database: Driver):
    store(database, synthetic_trace(0))
    labelled = rows(
        database,
        "MATCH (u:Unit) RETURN u.kind AS kind, u.layer AS layer, [l IN labels(u) WHERE l <> 'Unit'] AS labels, "
        "count { (u)-[:IN_DICTIONARY]->(:Dictionary) } AS dictionaries",
    )
    for row in labelled:
        in_dictionary = row["kind"] in ("Feature", "LayerError")
        assert set(row["labels"]) == {row["kind"], *([f"L{row['layer']:02d}"] if in_dictionary else [])}
        assert row["dictionaries"] == int(in_dictionary)


def test_the_account_of_every_target_of_a_real_trace_closes_in_cypher(database: Driver, tmp_path: Path):
    answer = RoleTarget(role="answer-distractor", token=3, minus=4)
    for trace in (
        tiny_trace(tmp_path),
        tiny_trace(tmp_path, options=TraceOptions(node_threshold=0.4, edge_threshold=0.6)),
        tiny_trace(tmp_path, options=TraceOptions(target="roles"), roles=(answer,)),
        tiny_trace(tmp_path, options=TraceOptions(prune=False, dtype="float64")),
    ):
        store(database, trace)
    found = rows(
        database,
        "MATCH (t:TraceNode) WHERE t.preactivation IS NOT NULL "
        "OPTIONAL MATCH (t)<-[e:AFFECTS]-() "
        "WITH t, coalesce(sum(e.weight), 0.0) AS edges, coalesce(sum(e.share), 0.0) AS shares "
        "RETURN abs(edges + t.rest + t.bias_effect - t.preactivation) / (t.absolute_input + abs(t.bias_effect)) AS v, "
        "shares, t.rest AS rest",
    )
    assert len(found) > 100
    assert sum(row["rest"] != 0 for row in found) > 20
    assert max(row["v"] for row in found) < 1e-6
    assert max(row["shares"] for row in found) < 1 + 1e-6
    assert value(database, "MATCH (t:Trace) RETURN max(t.stored_account_violation)") < 1e-6


def test_what_fired_is_stored_once_for_a_prompt(database: Driver):
    trace = synthetic_trace(0)
    store(database, trace)
    found = rows(
        database,
        "MATCH (p:Prompt)-[a:ACTIVATES]->(u:Feature) RETURN u.layer AS layer, u.index AS unit, properties(a) AS a "
        "ORDER BY layer, unit",
    )
    fired = feature_activations(trace.graph)
    assert [(row["layer"], row["unit"]) for row in found] == list(
        zip(fired.layer.tolist(), fired.unit.tolist(), strict=True)
    )
    assert [row["a"]["peak"] for row in found] == fired.peak.tolist()
    assert [row["a"]["positions"] for row in found] == fired.positions.tolist()
    assert [row["a"]["total"] for row in found] == fired.total.tolist()


def test_a_second_trace_of_a_prompt_adds_only_the_activations_that_are_missing(
    database: Driver, monkeypatch: pytest.MonkeyPatch
):
    tokens = (0, 5, 9, 11, 13)
    probable = synthetic_trace(0, token_ids=tokens)
    roles = synthetic_trace(0, token_ids=tokens, options=TraceOptions(target="roles"))
    assert probable.metadata.prompt_id == roles.metadata.prompt_id
    assert probable.metadata.trace_id != roles.metadata.trace_id
    monkeypatch.setattr(trace_rows, "feature_activations", lambda graph: feature_activations(graph, strongest=0))
    store(database, probable)
    monkeypatch.undo()
    first, second = (feature_activations(probable.graph, strongest=0), feature_activations(roles.graph))
    assert counts(database)["ACTIVATES"] == len(first.unit)
    store(database, roles)
    fired = {
        (layer, unit) for f in (first, second) for layer, unit in zip(f.layer.tolist(), f.unit.tolist(), strict=True)
    }
    assert len(first.unit) < len(fired) < len(first.unit) + len(second.unit)
    assert counts(database)["ACTIVATES"] == len(fired)
    assert counts(database)["Prompt"] == 1


def test_storing_again_changes_nothing(database: Driver):
    trace = synthetic_trace(0)
    first = store(database, trace)
    before = contents(database)
    again = store(database, trace)
    assert (first.stored, again.stored) == (True, False)
    assert again.array_digest == first.array_digest
    assert contents(database) == before


def test_traces_share_their_units(database: Driver):
    new = [store(database, trace).new_units for trace in synthetic_traces(4)]
    assert new[0] > new[-1]
    assert sum(new) == counts(database)["Unit"]
    assert counts(database)["Model"] == counts(database)["Dictionary"] == counts(database)["Configuration"] == 1


def test_eight_writers_store_each_trace_once(database: Driver, settings: Settings):
    traces = synthetic_traces(6)
    together = Barrier(8)

    def write_all(writer: int) -> list[StoredTrace]:
        mine = traces[writer % 6 :] + traces[: writer % 6]
        with open_driver(settings) as driver:
            together.wait(timeout=60)
            return [store(driver, trace) for trace in mine]

    with ThreadPoolExecutor(8) as pool:
        done = [stored for found in pool.map(write_all, range(8)) for stored in found]
    assert sorted(stored.trace_id for stored in done if stored.stored) == sorted(t.metadata.trace_id for t in traces)
    written = contents(database)
    assert counts(database)["AFFECTS"] == sum(trace.graph.n_edges for trace in traces)
    assert counts(database)["TraceNode"] == counts(database)["OF"] == sum(trace.graph.n_nodes for trace in traces)
    assert (
        value(database, "MATCH (u:Unit)-[r:IN_DICTIONARY]->() WITH u, count(r) AS n WHERE n > 1 RETURN count(*)") == 0
    )
    database.execute_query("MATCH (n) WHERE NOT n:Schema DETACH DELETE n")
    for trace in traces:
        store(database, trace)
    assert len(contents(database)) == len(written)


def test_two_writers_of_one_prompt_do_not_double_its_activations(database: Driver, settings: Settings):
    tokens = (0, 5, 9, 11, 13)
    targets = ("probable", "roles")
    together = Barrier(2)

    def write_one(target: str) -> StoredTrace:
        trace = synthetic_trace(0, token_ids=tokens, options=TraceOptions(target=target))  # type: ignore[arg-type]
        with open_driver(settings) as driver:
            together.wait(timeout=60)
            return store(driver, trace)

    with ThreadPoolExecutor(2) as pool:
        assert [stored.stored for stored in pool.map(write_one, targets)] == [True, True]
    doubled = "MATCH (p:Prompt)-[a:ACTIVATES]->(u:Unit) WITH p, u, count(a) AS n WHERE n > 1 RETURN count(*)"
    assert value(database, doubled) == 0


@pytest.mark.parametrize("statement", ["CREATE_TRACE_NODES", "CREATE_EDGES", "KNOWN_ACTIVATIONS", "CREATE_ACTIVATIONS"])
def test_a_failure_between_statements_leaves_nothing_of_the_trace(
    database: Driver, monkeypatch: pytest.MonkeyPatch, statement: str
):
    store(database, synthetic_trace(0))
    before = {name: n for name, n in counts(database).items() if name in TRACE_PARTS}
    monkeypatch.setattr(statements, statement, "RETURN 1 / 0")
    with pytest.raises(DatabaseError, match=r"Neo4j refused storing trace \w{12} \(/ by zero\); nothing was written"):
        store(database, synthetic_trace(1))
    assert {name: n for name, n in counts(database).items() if name in TRACE_PARTS} == before
    monkeypatch.undo()
    assert store(database, synthetic_trace(1)).stored


def test_edges_are_sent_in_batches(database: Driver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trace_writer, "EDGE_BATCH", 7)
    trace = synthetic_trace(0)
    store(database, trace)
    assert counts(database)["AFFECTS"] == trace.graph.n_edges


def test_a_trace_without_edges_is_stored(database: Driver):
    trace = synthetic_trace(0, edge_probability=0.0)
    assert store(database, trace).n_edges == 0
    assert counts(database)["TraceNode"] == trace.graph.n_nodes


@pytest.mark.parametrize("label", ["Unit", "Prompt", "Configuration"])
def test_what_is_removed_between_the_transactions_is_made_again(
    database: Driver, monkeypatch: pytest.MonkeyPatch, label: str
):
    """Takes away a shared node after the first transaction, as a removal by someone else may."""
    removed = []
    upsert = trace_writer.upsert_shared_nodes

    def upsert_then_lose(session, found, **told):
        written = upsert(session, found, **told)
        if not removed:
            removed.append(label)
            session.run(f"MATCH (n:{label}) WITH n LIMIT 1 DETACH DELETE n").consume()
        return written

    monkeypatch.setattr(trace_writer, "upsert_shared_nodes", upsert_then_lose)
    trace = synthetic_trace(0)
    assert store(database, trace).stored
    assert removed
    assert counts(database)["OF"] == trace.graph.n_nodes
    assert counts(database)["OF_PROMPT"] == counts(database)["UNDER"] == 1


def test_what_is_removed_again_and_again_ends_in_a_sentence(database: Driver, monkeypatch: pytest.MonkeyPatch):
    def nothing(transaction: ManagedTransaction, found: object) -> str | None:
        raise trace_writer._SharedNodeGoneError

    monkeypatch.setattr(trace_writer, "_lock_prompt", nothing)
    with pytest.raises(DatabaseError, match="ingest it again when the removal has ended"):
        store(database, synthetic_trace(0))
    assert "Trace" not in counts(database)


def test_a_trace_too_large_is_refused_before_anything_is_written(database: Driver, monkeypatch: pytest.MonkeyPatch):
    store(database, synthetic_trace(0))
    before = contents(database)
    monkeypatch.setattr(trace_rows, "MOST_RELATIONSHIPS", 100)
    with pytest.raises(DatabaseError, match="at most 100 are stored"):
        store(database, synthetic_trace(1))
    assert contents(database) == before


def test_a_database_of_another_schema_version_is_refused(database: Driver):
    database.execute_query("CREATE (:Schema {name: 'circuitbase', version: 99})")
    with pytest.raises(DatabaseError, match="has schema version 99"):
        store(database, synthetic_trace(0))
    assert contents(database) == []
