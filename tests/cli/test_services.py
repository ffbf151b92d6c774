import json

import pytest
from click.testing import CliRunner

from circuitbase.cli.main import main
from circuitbase.settings import Settings


def test_up_prints_where_the_password_is_and_not_the_password(settings: Settings):
    answer = CliRunner().invoke(main, ["up"], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    assert f"in {settings.home / 'neo4j' / 'password'}" in answer.stdout
    assert settings.neo4j_connection()[1] in answer.stdout
    for secret in (settings.neo4j_connection()[2], settings.redis_connection()):
        assert secret not in answer.output


def test_up_refuses_a_heap_that_java_would_not_take():
    answer = CliRunner().invoke(main, ["up", "--heap", "lots"])
    assert answer.exit_code == 2
    assert "such as 4g, got lots" in answer.output


def test_up_on_another_address_is_one_sentence(settings: Settings):
    answer = CliRunner().invoke(main, ["up", "--listen", "0.0.0.0"])
    assert answer.exit_code == 1
    assert "connections are not encrypted" in answer.output
    assert "run `circuitbase down` first" in answer.output
    assert "Traceback" not in answer.output


def test_down_with_nothing_running_says_so():
    answer = CliRunner().invoke(main, ["down"])
    assert (answer.exit_code, answer.output) == (0, "Nothing was running\n")


def test_fetch_says_where_the_verified_jars_are(settings: Settings):
    answer = CliRunner().invoke(main, ["fetch"])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout == f"Neo4j 5.26.29 is verified in {settings.cache}/neo4j-5.26.29/lib (0 jars fetched)\n"


def test_doctor_exits_with_zero_when_all_is_well(settings: Settings):
    answer = CliRunner().invoke(main, ["doctor", "--json"])
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    assert answer.exit_code == 0, answer.output
    assert {row["check"] for row in rows} >= {"python", "java", "neo4j", "redis", "store", "torch", "workers"}


def test_doctor_exits_with_one_when_something_is_wrong():
    answer = CliRunner().invoke(main, ["doctor", "--table"])
    assert answer.exit_code == 1
    assert "PROBLEM" in answer.stdout


@pytest.mark.parametrize("command", ["up", "down", "fetch", "doctor"])
def test_help_has_an_example(command: str):
    answer = CliRunner().invoke(main, [command, "--help"])
    assert "Example" in answer.output
    assert f"circuitbase {command}" in answer.output
