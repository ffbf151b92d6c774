import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from neo4j import Driver

from circuitbase.cli.main import main
from circuitbase.graph.trace import Trace
from circuitbase.schema.declaration import SCHEMA_VERSION
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from circuitbase.tracing.options import TraceOptions
from tests.synthetic import synthetic_trace, synthetic_traces


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def row(answer: Result) -> dict[str, object]:
    assert answer.exit_code == 0, answer.output
    (line,) = answer.stdout.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def saved(traces: list[Trace], folder: Path) -> str:
    store = TraceStore(str(folder))
    for trace in traces:
        store.save(trace)
    return store.url


def test_ingest_counts_what_it_stored_and_what_was_there(database: Driver, settings: Settings, tmp_path: Path):
    traces = synthetic_traces(3)
    folder = saved(traces, tmp_path / "files")
    expected = {
        "stored": 3,
        "already_stored": 0,
        "refused": 0,
        "nodes": sum(trace.graph.n_nodes for trace in traces),
        "edges": sum(trace.graph.n_edges for trace in traces),
        "retries": 0,
    }
    assert row(run("ingest", folder)) == expected
    assert row(run("ingest", folder)) == {**dict.fromkeys(expected, 0), "already_stored": 3}
    assert sorted(TraceStore(settings.store_url).trace_ids()) == sorted(trace.metadata.trace_id for trace in traces)


def test_ingest_refuses_a_broken_file_stores_the_others_and_exits_with_one(
    database: Driver, settings: Settings, tmp_path: Path
):
    folder = saved(synthetic_traces(2), tmp_path / "files")
    (tmp_path / "files" / "0broken.safetensors").write_bytes(b"no trace")
    answer = run("ingest", folder)
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["stored"] == 2
    assert json.loads(answer.stdout)["refused"] == 1
    (sentence,) = [line for line in answer.stderr.splitlines() if line.startswith("refused: ")]
    assert "0broken.safetensors is damaged or truncated" in sentence
    assert "Traceback" not in answer.output


def test_ingest_of_nothing_is_one_sentence(database: Driver, settings: Settings, tmp_path: Path):
    answer = run("ingest", str(tmp_path / "missing.safetensors"))
    assert answer.exit_code == 1
    assert answer.stderr.startswith("Error: there is no trace file")


def test_ingest_without_services_is_one_sentence(tmp_path: Path):
    answer = run("ingest", saved([synthetic_trace(0)], tmp_path / "files"))
    assert answer.exit_code == 1
    assert "run `circuitbase up`" in answer.stderr
    assert "Traceback" not in answer.output


def test_ingest_into_another_schema_version_names_migrate(database: Driver, settings: Settings, tmp_path: Path):
    database.execute_query("CREATE (:Schema {name: 'circuitbase', version: 0})")
    folder = saved([synthetic_trace(0)], tmp_path / "files")
    answer = run("ingest", folder)
    assert answer.exit_code == 1
    assert "run `circuitbase migrate`" in answer.stderr
    assert list(TraceStore(settings.store_url).trace_ids()) == []
    assert row(run("migrate"))["version"] == SCHEMA_VERSION
    assert row(run("ingest", folder))["stored"] == 1


def test_migrate_says_what_ran(database: Driver, settings: Settings):
    first = row(run("migrate"))
    assert first == {
        "version_before": 0,
        "version": SCHEMA_VERSION,
        "migrations": ["constraints_and_indexes", "interventions", "motifs"],
    }
    assert row(run("migrate")) == {
        "version_before": SCHEMA_VERSION,
        "version": SCHEMA_VERSION,
        "migrations": [],
    }


def test_sets_count_prompts_and_traces_and_name_configurations(database: Driver, settings: Settings, tmp_path: Path):
    probable = synthetic_traces(2)
    roles = [synthetic_trace(7, options=TraceOptions(target="roles"))]
    run("ingest", saved(probable, tmp_path / "a"), "--set", "both")
    run("ingest", saved(roles, tmp_path / "b"), "--set", "both")
    run("ingest", saved(probable[:1], tmp_path / "c"), "--set", "one")
    answer = run("sets")
    found = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [(row["set"], row["prompts"], row["traces"]) for row in found] == [("both", 3, 3), ("one", 1, 1)]
    assert [name.split("@")[0] for name in found[0]["configurations"]] == [
        "synthetic/tc/answer-distractor",
        "synthetic/tc/probable",
    ]


def test_no_sets_are_no_rows(database: Driver, settings: Settings):
    assert run("sets").stdout == ""
    assert run("sets", "--csv").stdout == "set,prompts,traces,configurations\n"


def test_traces_are_listed_of_one_set_or_of_all(database: Driver, settings: Settings, tmp_path: Path):
    traces = synthetic_traces(3)
    run("ingest", saved(traces, tmp_path / "all"))
    run("ingest", saved(traces[:1], tmp_path / "one"), "--set", "s")
    assert len(run("traces").stdout.splitlines()) == 3
    assert len(run("traces", "--limit", "2").stdout.splitlines()) == 2
    found = row(run("traces", "s"))
    metadata = traces[0].metadata
    assert found["trace"] == metadata.trace_id
    assert found["prompt"] == metadata.prompt.text
    assert found["replacement"] == metadata.scores.replacement
    assert (found["nodes"], found["edges"]) == (traces[0].graph.n_nodes, traces[0].graph.n_edges)
    (as_csv,) = csv.DictReader(io.StringIO(run("traces", "s", "--csv").stdout))
    assert as_csv["trace"] == metadata.trace_id


def test_a_set_that_does_not_exist_is_refused_with_those_that_do(database: Driver, settings: Settings, tmp_path: Path):
    assert "there is none yet" in run("traces", "s").stderr
    run("ingest", saved([synthetic_trace(0)], tmp_path / "files"), "--set", "capitals")
    answer = run("traces", "capital")
    assert answer.exit_code == 1
    assert "there is no prompt set 'capital' (there are capitals)" in answer.stderr


@pytest.mark.parametrize("command", ["ingest", "migrate", "sets", "traces"])
def test_help_has_an_example(command: str):
    assert f"circuitbase {command}" in run(command, "--help").output
