from pathlib import Path

import pytest
from neo4j import Driver

from circuitbase.graph.trace import Trace
from circuitbase.ingest.migrations import migrate
from circuitbase.ingest.prompt_sets import SetPrompt, put_prompts
from circuitbase.settings import Settings
from tests.cli.running import refusal, rows, run
from tests.ingest.contents import value
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces

Sets = dict[str, list[Trace]]
FAST = ("--samples", "9", "--rounds", "2")


def test_types_have_counts_and_p_values_and_pending_traces_are_added(pending_sets: Sets) -> None:
    first = run("motifs", "capital-en", *FAST)
    assert "Added 4 pending traces to the sums of capital-en." in first.stderr
    found = rows("motifs", "capital-en", *FAST)
    assert {row["shape"] for row in found} >= {"chain", "coherent-ffl", "incoherent-ffl", "diamond", "fan-in"}
    tested = [row for row in found if row["corrected_p"] is not None]
    assert tested and [row["p"] for row in tested] == sorted(row["p"] for row in tested)
    assert all(row["per_trace"] == row["count"] / 4 for row in found)
    assert all(row["p"] == 1 and row["corrected_p"] is None for row in found if row["shape"].startswith("fan"))
    assert found == rows("motifs", "capital-en", *FAST)
    assert found != rows("motifs", "capital-en", *FAST, "--seed", "1")


def test_less_detail_gives_fewer_types(pending_sets: Sets) -> None:
    found = rows("motifs", "capital-en", *FAST, "--detail", "shape", "--min-size", "2")
    assert {row["type"] for row in found} <= {
        *("chain", "coherent-ffl", "incoherent-ffl", "diamond", "inhibition", "fan-in", "fan-out")
    }


def test_a_table_says_over_what_and_how_it_was_corrected(pending_sets: Sets) -> None:
    result = run("motifs", "capital-en", *FAST, "--table", "--correction", "holm", "--max-traces", "3")
    assert "Motifs of capital-en: 3 traces, 9 samples of the null model with" in result.stdout
    assert "p corrected by holm" in result.stdout
    assert "Of the 4 traces 3 were drawn; --max-traces 4 takes all." in result.stderr
    assert "One type alone cannot fall below a corrected p of 1 with 9 samples" in result.stderr


def test_the_enrichment_is_drawn(pending_sets: Sets, tmp_path: Path) -> None:
    picture = tmp_path / "motifs.png"
    assert f"Drawn: {picture}" in run("motifs", "capital-en", *FAST, "--plot", str(picture)).stderr
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_instances_are_listed_by_role_with_their_support(pending_sets: Sets) -> None:
    found = rows("motifs", "capital-en", "--instances", "chain:++", "--limit", "5", "--min-presence", "0.25")
    assert found and len(found) <= 5
    assert [row["traces"] for row in found] == sorted((row["traces"] for row in found), reverse=True)
    for row in found:
        assert row["signs"] == "++" and row["presence"] == row["traces"] / 4
        assert len(row["units"]) == 3 and row["a"] and row["b"] and row["c"]
    shown = run("motifs", "capital-en", "--instances", "chain:++", "--limit", "5", "--table").stdout
    assert "Motifs of capital-en that recur over 4 traces" in shown and "Instances (5 of " in shown


def test_a_fan_is_listed_with_centre_and_branches(pending_sets: Sets) -> None:
    found = rows("motifs", "capital-en", "--instances", "fan-in", "--min-size", "2", "--min-presence", "0.5")
    assert found and all(row["centre"] and row["size"] == len(row["units"]) >= 3 for row in found)


def test_listed_instances_are_stored(pending_sets: Sets, database: Driver) -> None:
    asked = ("motifs", "capital-en", "--instances", "diamond", "--limit", "3", "--store")
    assert "3 of 3 motifs were new to Neo4j" in run(*asked).stderr
    assert "0 of 3 motifs were new to Neo4j" in run(*asked).stderr
    text = "MATCH (m:Motif {kind: 'structural'})-[:INVOLVES]->(u:Unit) RETURN count(DISTINCT m) + count(u)"
    assert value(database, text) == 3 + 3 * 4


def test_one_trace_works_with_a_note(database: Driver, settings: Settings) -> None:
    put_traces(database, settings, "alone", synthetic_traces(1))
    assert "alone has one trace, so nothing here says what recurs." in run("motifs", "alone", *FAST).stderr
    listed = run("motifs", "alone", "--instances", "chain", "--limit", "2")
    assert "alone has one trace" in listed.stderr and len(listed.stdout.splitlines()) == 2


def test_nothing_that_recurs_is_a_sentence(pending_sets: Sets) -> None:
    result = run("motifs", "capital-en", "--instances", "inhibition:sss", "--min-presence", "1")
    assert (result.stdout, "No such motif is in 4 traces or more" in result.stderr) == ("", True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["capitals"], "there is no prompt set 'capitals'"),
        (["capital-en", "--samples", "0"], "the null model needs at least 1 of its samples, got 0"),
        (["capital-en", "--min-size", "1", "--samples", "1"], "a fan has at least 2 branches, got a minimum size of 1"),
        (["capital-en", "--max-traces", "0"], "at least 1 trace is needed, got a maximum of 0"),
        (["capital-en", "--instances", "triangle"], "there is no motif 'triangle'"),
        (["capital-en", "--instances", "chain", "--min-presence", "3"], "must be a fraction from 0 to 1, got 3"),
        (["capital-en", "--instances", "chain", "--plot", "a.png"], "--plot draws the enrichment of all types"),
        (["capital-en", "--store"], "say of which type with --instances"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(pending_sets: Sets, arguments: list[str], sentence: str) -> None:
    run("rollup")
    assert sentence in refusal("motifs", *arguments)


def test_an_empty_set_is_one_sentence(database: Driver, settings: Settings) -> None:
    (trace,) = synthetic_traces(1)
    migrate(database, database="neo4j")
    put_prompts(database, "empty", [SetPrompt(trace.metadata.prompt_id, trace.metadata.prompt)], database="neo4j")
    assert "prompt set 'empty' has no stored traces yet" in refusal("motifs", "empty")
