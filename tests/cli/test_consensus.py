import pytest
from neo4j import Driver

from circuitbase.settings import Settings
from tests.cli.running import refusal, rows, run
from tests.queries.configured import capped, loose, put_configurations, strict, under_another_dictionary


@pytest.fixture
def two_configurations(database: Driver, settings: Settings) -> None:
    put_configurations(database, settings, "capital-en", loose(), capped(3))


def test_core_and_contingent_edges_are_listed_with_their_configurations(two_configurations: None) -> None:
    found = rows("consensus", "capital-en", "--limit", "5", "--min-presence", "0.6")
    configurations = [row for row in found if row["row"] == "configuration"]
    assert [row["as"] for row in configurations] == ["A", "B"]
    assert {row["traces"] for row in configurations} == {3}
    assert sorted(row["differs_in"]["max_features"] or 0 for row in configurations) == [0, 9]
    core = [row for row in found if row["row"] == "core"]
    assert len(core) == 5 and all(row["holds_in"] == ["A", "B"] for row in core)
    assert all(min(row["presence"].values()) > 0.6 for row in core)
    contingent = [row for row in found if row["row"] == "contingent"]
    assert contingent and all(len(row["holds_in"]) == 1 for row in contingent)


def test_a_table_says_how_many_there_are_and_what_was_left_out(two_configurations: None) -> None:
    result = run("consensus", "capital-en", "--per-prompt", "--table")
    assert "Consensus of 2 configurations on capital-en: 3 prompts" in result.stdout
    assert "core edges" in result.stdout and "agreement" in result.stdout
    assert "Left out 1 traces of prompts that are not traced under all of the configurations." in result.stderr


def test_roles_are_compared_too(two_configurations: None) -> None:
    found = rows("consensus", "capital-en", "--by-role")
    assert any("[elsewhere]" in row.get("source", "") for row in found if row["row"] != "configuration")
    assert "at most 2 are summed" in refusal("consensus", "capital-en", "--by-role", "--most-traces", "2")


def test_it_is_said_what_a_consensus_over_prunings_or_dictionaries_is_worth(
    database: Driver, settings: Settings
) -> None:
    put_configurations(database, settings, "capital-en", loose(1), strict(1))
    stderr = run("consensus", "capital-en").stderr
    assert "Only the pruning differs, so the core is the strictest one's circuit" in stderr
    assert "Only one prompt is compared" in stderr
    put_configurations(database, settings, "capital-fr", loose(1), under_another_dictionary(loose(1)))
    assert "The dictionaries differ" in run("consensus", "capital-fr", "--configuration", "synthetic/tc").stderr
    for sentence, *arguments in (
        ("there is no prompt set 'nowhere'", "nowhere"),
        ("must be a fraction from 0 to 1, got 3", "capital-en", "--min-presence", "3"),
    ):
        assert sentence in refusal("consensus", *arguments)
