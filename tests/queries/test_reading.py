from pathlib import Path

import pytest
from neo4j import Driver

from circuitbase.errors import QueryError
from circuitbase.queries.reading import run_read_only

WRITES = [
    "CREATE (n:Unit {id: 'x'})",
    "MATCH (n) DETACH DELETE n",
    "MATCH (n:Unit) SET n.label = 'x'",
    "CREATE INDEX sneaky FOR (n:Unit) ON (n.label)",
    "CALL db.createLabel('Sneaky')",
    "MATCH (n) CALL { WITH n DELETE n } IN TRANSACTIONS",
    "CREATE USER eve SET PASSWORD 'long enough'",
    "CALL dbms.killConnection('bolt-1')",
    "EXPLAIN CREATE (n:Unit {id: 'x'})",
    "PROFILE CREATE (n:Unit {id: 'x'})",
]


@pytest.mark.parametrize("text", WRITES)
def test_what_would_change_anything_is_refused_and_changes_nothing(database: Driver, text: str) -> None:
    database.execute_query("CREATE (:Unit {id: 'kept', name: 'kept'})")
    with pytest.raises(QueryError, match=r"would change the database or its server|may only read"):
        run_read_only(database, text, database="neo4j")
    found = database.execute_query("MATCH (n) RETURN properties(n) AS kept").records
    assert [row["kept"] for row in found] == [{"id": "kept", "name": "kept"}]


def test_load_csv_of_a_local_file_is_refused(database: Driver, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("password\n")
    with pytest.raises(QueryError, match="LOAD CSV reads files and addresses outside the database"):
        run_read_only(database, f"LOAD CSV FROM 'file://{secret}' AS line RETURN line", database="neo4j")


def test_load_csv_of_an_address_is_refused_also_inside_a_subquery(database: Driver) -> None:
    text = "CALL { LOAD CSV FROM $from AS line RETURN line } RETURN line"
    with pytest.raises(QueryError, match="LOAD CSV"):
        run_read_only(database, text, {"from": "http://127.0.0.1:1/x.csv"}, database="neo4j")


def test_ending_transactions_is_refused(database: Driver) -> None:
    with pytest.raises(QueryError, match="ends other people's transactions"):
        run_read_only(database, "TERMINATE TRANSACTIONS 'neo4j-transaction-1'", database="neo4j")


def test_a_query_that_takes_too_long_is_stopped(database: Driver) -> None:
    text = "UNWIND range(1, 1000000) AS a UNWIND range(1, 1000000) AS b RETURN count(*)"
    with pytest.raises(QueryError, match="took longer than 1 seconds and was stopped"):
        run_read_only(database, text, database="neo4j", seconds=1.0)


def test_a_text_that_is_no_cypher_gets_one_sentence(database: Driver) -> None:
    with pytest.raises(QueryError, match=r"^Neo4j cannot run this Cypher: Invalid input 'RETRUN'") as refused:
        run_read_only(database, "RETRUN 1", database="neo4j")
    assert "EXPLAIN" not in str(refused.value)


def test_a_missing_parameter_is_named(database: Driver) -> None:
    with pytest.raises(QueryError, match=r"Expected parameter.*: x"):
        run_read_only(database, "RETURN $x", database="neo4j")


def test_parameters_are_values_and_never_cypher(database: Driver) -> None:
    text = "'}) MATCH (n) DETACH DELETE n //"
    assert run_read_only(database, "RETURN $x AS x", {"x": text}, database="neo4j").rows == ({"x": text},)


def test_nodes_relationships_and_paths_come_as_plain_values(database: Driver) -> None:
    database.execute_query("CREATE (:Unit:Feature {id: 'a'})-[:DRIVES {traces: 2}]->(:Unit:Feature {id: 'b'})")
    (row,) = run_read_only(
        database, "MATCH p = (a)-[d]->() RETURN a, d, p, date('2026-01-02') AS day", database="neo4j"
    ).rows
    assert row["a"] == {"labels": ["Feature", "Unit"], "id": "a"}
    assert row["d"] == {"type": "DRIVES", "traces": 2}
    assert [part.get("id", part.get("type")) for part in row["p"]] == ["a", "DRIVES", "b"]
    assert row["day"] == "2026-01-02"


def test_a_row_limit_cuts_and_says_so(database: Driver) -> None:
    found = run_read_only(database, "UNWIND range(1, 9) AS n RETURN n", database="neo4j", rows=4)
    assert ([row["n"] for row in found.rows], found.complete) == ([1, 2, 3, 4], False)
    assert run_read_only(database, "UNWIND range(1, 4) AS n RETURN n", database="neo4j", rows=4).complete
