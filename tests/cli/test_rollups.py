import pytest
from click.testing import CliRunner
from neo4j import Driver

from circuitbase.cli.main import main
from circuitbase.graph.trace import Trace
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.cli.running import refusal, rows, run

Sets = dict[str, list[Trace]]


def test_a_roll_up_adds_what_is_pending_once(pending_sets: Sets) -> None:
    assert rows("rollup", "capital-en")[0]["traces_added"] == 4
    assert rows("rollup")[0]["traces_added"] == 3
    assert rows("rollup") == [{"traces_added": 0, "rollups": 0, "unit_pairs": 0}]


def test_a_rebuild_makes_the_same_sums_anew(pending_sets: Sets) -> None:
    before = rows("digest")
    assert rows("rollup", "--rebuild")[0]["traces_added"] == 7
    assert rows("digest") == before


def test_the_roll_up_of_an_unknown_set_is_refused(pending_sets: Sets) -> None:
    assert "there is no prompt set 'capitals'" in refusal("rollup", "capitals")
    assert "there is no prompt set 'capitals'" in refusal("rollup", "capitals", "--rebuild")


def test_the_digest_adds_what_is_pending_and_says_so(pending_sets: Sets) -> None:
    first = run("digest", "capital-fr")
    assert "Added 3 pending traces to the sums of capital-fr." in first.stderr
    assert rows("digest", "capital-fr")[0]["traces"] == 3
    assert first.stdout == run("digest", "capital-fr").stdout


def test_a_trace_is_removed_by_the_first_digits_of_its_id(pending_sets: Sets) -> None:
    trace = pending_sets["capital-en"][0]
    run("rollup")
    removed = rows("remove", trace.metadata.trace_id[:10], "--yes")
    assert removed == [{"traces": 1, "nodes": trace.graph.n_nodes, "edges": trace.graph.n_edges, "rollups": 1}]
    assert rows("digest")[0]["traces"] == 6


def test_a_set_is_removed_after_a_question(pending_sets: Sets, database: Driver) -> None:
    refused = CliRunner().invoke(main, ["remove", "capital-en"], input="n\n")
    assert refused.exit_code == 1
    assert "prompt set capital-en with 4 prompts" in refused.stderr
    assert rows("digest")[0]["traces"] == 7
    accepted = run("remove", "capital-en", stdin="y\n")
    assert '"traces": 4' in accepted.stdout
    assert rows("digest")[0]["traces"] == 3
    assert database.execute_query("MATCH (s:PromptSet) RETURN s.name AS name").records[0]["name"] == "capital-fr"


def test_what_is_neither_a_set_nor_a_trace_is_not_removed(pending_sets: Sets) -> None:
    assert "neither a prompt set nor a trace 'capitals'" in refusal("remove", "capitals", "--yes")
    assert "neither a prompt set nor a trace 'abcdef01'" in refusal("remove", "abcdef01", "--yes")


def test_a_trace_without_its_file_is_removed_only_with_a_rebuild(pending_sets: Sets, settings: Settings) -> None:
    run("rollup")
    trace_id = pending_sets["capital-en"][1].metadata.trace_id
    TraceStore(settings.store_url).remove(trace_id)
    assert f"circuitbase remove {trace_id[:12]} --rebuild" in refusal("remove", trace_id, "--yes")
    assert rows("remove", trace_id, "--yes", "--rebuild")[0]["traces"] == 1
    assert rows("digest")[0]["traces"] == 6


@pytest.mark.parametrize("command", ["rollup", "remove", "digest"])
def test_help_has_an_example(command: str) -> None:
    assert f"circuitbase {command}" in run(command, "--help").stdout
