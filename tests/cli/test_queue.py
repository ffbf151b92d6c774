import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from neo4j import Driver

from circuitbase.cli.main import main
from circuitbase.settings import Settings
from circuitbase.workers import jobs
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from tests.tiny_models import write_tiny_dictionary, write_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("tiny-cli")
    model = write_tiny_model(folder / "tiny" / "model")
    dictionary = write_tiny_dictionary(folder / "tiny" / "transcoders", model)
    return ["--model", str(model), "--dictionary", str(dictionary), "--set", "letters"]


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin)


def test_submitting_says_what_became_of_the_prompts(settings: Settings, database: Driver, tiny: list[str]) -> None:
    result = run("submit", "-", *tiny, "--json", stdin="the alpha\nthe beta\nthe alpha\n")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "set": "letters",
        "target": "probable",
        "queued": 2,
        "already_stored": 0,
        "already_queued": 0,
        "repeated": 1,
        "bad": 0,
        "tokens": 6,
    }
    again = json.loads(run("submit", "the beta", *tiny, "--json").stdout)
    assert (again["queued"], again["already_queued"]) == (0, 1)
    rows = [json.loads(row) for row in run("jobs", "--set", "letters").stdout.splitlines()]
    assert [(row["prompt"], row["state"], row["sets"]) for row in rows] == [
        ("the alpha", "queued", ["letters"]),
        ("the beta", "queued", ["letters"]),
    ]


def test_a_dry_run_says_what_would_be_queued(settings: Settings, database: Driver, tiny: list[str]) -> None:
    found = json.loads(run("submit", "the alpha", *tiny, "--dry-run", "--json").stdout)
    assert (found["would_queue"], found["tokens"]) == (1, 3)
    assert (found["past_jobs"], found["seconds_per_token"], found["estimated_seconds"]) == (0, None, None)
    assert run("jobs").stdout == ""


def test_a_dry_run_says_how_long_it_would_take(settings: Settings, database: Driver, tiny: list[str]) -> None:
    run("submit", "the alpha", *tiny)
    with open_redis(settings) as client:
        (job,) = jobs.listed(client)
        jobs.move(client, job.trace_id, JobState.TRACED, seconds=6.0)
        jobs.move(client, job.trace_id, JobState.STORED)
    result = run("submit", "-", *tiny, "--dry-run", "--json", stdin="the beta\nthe gamma\n")
    found = json.loads(result.stdout)
    assert (found["past_jobs"], found["seconds_per_token"], found["workers"]) == (1, 2.0, 0)
    assert (found["would_queue"], found["estimated_seconds"]) == (2, 12.0)
    assert "about 12 s with one worker, though none listens now, by 1 past job" in result.stderr


def test_bad_lines_are_listed_with_their_numbers(
    settings: Settings, database: Driver, tiny: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"prompt": "the alpha"}\n{"prompt": ""}\n{"text": "the beta"}\n')
    result = run("submit", str(path), *tiny)
    assert result.exit_code == 1
    assert "2 bad lines, so nothing was queued" in result.stderr
    assert "  line 2: `prompt` must be a text" in result.stderr
    assert "  line 3: the key 'text' is unknown" in result.stderr
    assert "Traceback" not in result.output
    assert run("jobs").stdout == ""
    skipped = run("submit", str(path), *tiny, "--skip-bad", "--json")
    assert "left out line 2" in skipped.stderr
    assert json.loads(skipped.stdout)["queued"] == 1


def test_a_model_that_is_not_there_is_one_sentence(settings: Settings, database: Driver, tiny: list[str]) -> None:
    result = run("submit", "the alpha", "--model", "/nowhere", *tiny[2:])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "there is no such folder" in result.stderr


@pytest.mark.parametrize("command", ["submit", "jobs", "worker"])
def test_services_that_are_away_are_one_sentence(
    settings: Settings, tiny: list[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    arguments = ["the alpha", *tiny] if command == "submit" else []
    monkeypatch.setenv("CIRCUITBASE_REDIS_URL", "redis://:secret@127.0.0.1:1/0")
    away = run(command, *arguments)
    assert (away.exit_code, away.stderr.count("\n")) == (1, 1)
    assert "Redis at redis://127.0.0.1:1/0 is not reachable" in away.stderr
    assert "secret" not in away.output


def test_a_wrong_password_is_one_sentence(settings: Settings, tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    good = settings.redis_connection()
    monkeypatch.setenv("CIRCUITBASE_REDIS_URL", good.replace(good.split(":")[2].split("@")[0], "wrong"))
    refused = run("submit", "the alpha", *tiny)
    assert refused.exit_code == 1
    assert "refuses the password" in refused.stderr
    monkeypatch.delenv("CIRCUITBASE_REDIS_URL")
    uri, _, _ = settings.neo4j_connection()
    monkeypatch.setenv("CIRCUITBASE_NEO4J_URI", uri)
    monkeypatch.setenv("CIRCUITBASE_NEO4J_PASSWORD", "wrong")
    for command in (["submit", "the alpha", *tiny], ["worker"]):
        refused = run(*command)
        assert refused.exit_code == 1
        assert "refuses the password" in refused.stderr
        assert "wrong" not in refused.stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--queues", "trace,other"), ("--queues", ","), ("--device", "gpu"), ("--device", "mps")]
)
def test_a_worker_refuses_what_it_does_not_know(option: str, value: str) -> None:
    result = run("worker", option, value)
    assert result.exit_code == 2
    assert "Invalid value" in result.stderr


def test_help_needs_no_heavy_import() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from click.testing import CliRunner; from circuitbase.cli.main import main\n"
        "for command in ('submit', 'worker', 'jobs', 'trace', 'demo'):\n"
        "    assert CliRunner().invoke(main, [command, '--help']).exit_code == 0\n"
        "print([name for name in ('torch', 'celery', 'neo4j', 'transformers') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
