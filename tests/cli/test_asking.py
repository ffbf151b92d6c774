import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from circuitbase.cli.main import main
from circuitbase.graph.trace import Trace
from circuitbase.queries import library
from tests.cli.running import refusal, rows, run

Sets = dict[str, list[Trace]]


def test_the_list_names_every_query_with_its_defaults() -> None:
    found = {row["query"]: row for row in rows("query", "--list")}
    assert list(found) == library.names()
    assert found["circuit-units"]["parameters"] == 'set="capital-en" min_presence=0.3 limit=30'
    assert rows("query") == list(found.values())


def test_a_query_prints_as_it_runs_in_browser() -> None:
    assert run("query", "account", "--text").stdout.strip() == library.load("account").source.strip()


def test_a_query_that_reads_sums_adds_what_is_pending_first(pending_sets: Sets) -> None:
    first = run("query", "circuit-units", "set=capital-fr", "limit=2", "min_presence=0")
    assert "Added 7 pending traces to the sums of their sets." in first.stderr
    found = [json.loads(line) for line in first.stdout.splitlines()]
    assert len(found) == 2 and found[0]["traces"] == 3
    assert run("query", "circuit-units", "set=capital-fr").stderr == ""


def test_a_query_of_traces_alone_leaves_the_sums_as_they_are(pending_sets: Sets) -> None:
    assert run("query", "account", "limit=1").stderr == ""


def test_a_query_takes_only_its_own_parameters(pending_sets: Sets) -> None:
    assert "query account has no parameter sett" in refusal("query", "account", "sett=x")
    assert "there is no query 'acount'" in refusal("query", "acount")


def test_cypher_takes_parameters_and_standard_input(pending_sets: Sets) -> None:
    text = "MATCH (s:PromptSet) WHERE s.name STARTS WITH $start RETURN s.name AS name ORDER BY name"
    assert rows("cypher", text, "start=capital-f") == [{"name": "capital-fr"}]
    assert rows("cypher", "-", "start=cap", stdin=text) == [{"name": "capital-en"}, {"name": "capital-fr"}]
    assert rows("cypher", "RETURN $a AS a, $b AS b", "a=[1, 2]", "b=one") == [{"a": [1, 2], "b": "one"}]


def test_rows_beyond_the_limit_are_not_shown_and_that_is_said(pending_sets: Sets) -> None:
    result = run("cypher", "UNWIND range(1, 50) AS x RETURN x", "--limit", "3")
    assert len(result.stdout.splitlines()) == 3
    assert "only the first 3 rows are shown" in result.stderr


def test_a_write_is_refused(pending_sets: Sets) -> None:
    assert "may only read" in refusal("cypher", "MATCH (n) DETACH DELETE n")
    assert rows("cypher", "MATCH (t:Trace) RETURN count(t) AS n") == [{"n": 7}]


def test_load_csv_is_refused(pending_sets: Sets, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("password\n")
    text = f"LOAD CSV FROM 'file://{secret}' AS line RETURN line"
    assert "LOAD CSV reads files and addresses" in refusal("cypher", text)


def test_a_time_limit_holds(pending_sets: Sets) -> None:
    text = "UNWIND range(1, 1000000) AS a UNWIND range(1, 1000000) AS b RETURN count(*)"
    assert "took longer than 1 seconds" in refusal("cypher", text, "--seconds", "1")


@pytest.mark.parametrize("argument", ["start", "=x", "a b=1"])
def test_a_parameter_that_is_no_name_and_value_is_a_usage_error(argument: str) -> None:
    result = CliRunner().invoke(main, ["cypher", "RETURN 1", argument])
    assert result.exit_code == 2
    assert "name=value" in result.stderr
