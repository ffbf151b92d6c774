"""`jobs` and what it can do, on records that no worker touches."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from click.testing import CliRunner
from neo4j import Driver

from circuitbase.cli.main import main
from circuitbase.settings import Settings
from circuitbase.workers import jobs
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from circuitbase.workers.routing import queue_length
from tests.cli.running import refusal, rows, run
from tests.workers.made_jobs import made_request

STATE_OF = {"a": JobState.QUEUED, "b": JobState.FAILED, "c": JobState.DEAD, "d": JobState.TRACING}


@pytest.fixture
def client(settings: Settings, database: Driver) -> Iterator[redis.Redis]:
    """Returns a client; there is one job of each state of `STATE_OF`, and a cancelled one of another set and model."""
    with open_redis(settings) as client:
        jobs.put(client, [(name * 64, made_request(f"the {name}")) for name in STATE_OF], prompt_set="one")
        jobs.put(client, [("e" * 64, replace(made_request("x" * 90), model="/models/other"))], prompt_set="two")
        for name, state in STATE_OF.items():
            jobs.move(client, name * 64, state, error="it broke" if state in jobs.UNDONE else None)
        jobs.move(client, "e" * 64, JobState.CANCELLED)
        yield client


def listed(*arguments: str) -> str:
    return "".join(row["trace"][0] for row in rows("jobs", *arguments))


def state(client: redis.Redis, names: str) -> list[str]:
    return [str(state) for state in jobs.states(client, [name * 64 for name in names])]


def test_jobs_can_be_filtered_and_say_why_they_failed(client: redis.Redis) -> None:
    assert listed() == "abcde"
    assert listed("--set", "one") == "abcd"
    assert listed("--state", "failed", "--state", "dead") == "bc"
    assert listed("--model", "other") == "e"
    assert listed("--limit", "2") == "de"
    (row,) = rows("jobs", "--state", "failed")
    assert (row["trace"], row["error"], row["prompt"]) == ("b" * 64, "it broke", "the b")
    assert (row["priority"], row["model"]) == (5, "/models/tiny")


def test_a_table_of_jobs_ends_with_their_counts(client: redis.Redis) -> None:
    table = run("jobs", "--table").stdout
    assert "eeeeeeeeeeee" in table and "e" * 13 not in table
    assert table.endswith("1 queued, 1 tracing, 1 failed, 1 dead, 1 cancelled\n")
    assert run("jobs", "--set", "nothing", "--table").stdout.endswith("no jobs\n")


def test_jobs_of_a_set_that_failed_or_died_are_queued_again(client: redis.Redis) -> None:
    assert rows("jobs", "retry", "--set", "one") == [{"queued_again": 2}]
    assert state(client, "abcde") == ["queued", "queued", "queued", "tracing", "cancelled"]
    assert queue_length(client, "trace") == 2


def test_jobs_are_queued_again_by_state_or_by_the_beginning_of_their_id(client: redis.Redis) -> None:
    assert rows("jobs", "retry", "--state", "cancelled") == [{"queued_again": 1}]
    assert rows("jobs", "retry", "ccc") == [{"queued_again": 1}]
    assert state(client, "bce") == ["failed", "queued", "queued"]


def test_jobs_are_cancelled(client: redis.Redis) -> None:
    result = run("jobs", "cancel", "--set", "one", "--yes")
    assert '"cancelled": 2, "being_traced": 1, "being_stored": 0, "ended_before": 0' in result.stdout
    assert "the worker finishes the trace, and nobody stores it" in result.stderr
    assert state(client, "abcd") == ["cancelled", "failed", "dead", "cancelled"]
    assert rows("jobs", "cancel", "b") == [{"cancelled": 0, "being_traced": 0, "being_stored": 0, "ended_before": 1}]


def test_several_jobs_are_cancelled_only_after_asking(client: redis.Redis) -> None:
    refused = CliRunner().invoke(main, ["jobs", "cancel", "aa", "dd"], input="n\n")
    assert refused.exit_code == 1
    assert "Cancel 2 jobs?" in refused.stderr
    assert state(client, "ad") == ["queued", "tracing"]
    assert run("jobs", "cancel", "aa", "dd", stdin="y\n").stdout.startswith('{"cancelled": 2')
    assert state(client, "ad") == ["cancelled", "cancelled"]


def test_dead_jobs_are_listed_with_what_went_wrong_and_their_input(client: redis.Redis) -> None:
    first, second = rows("jobs", "dead")
    assert first == {
        "trace": "b" * 64,
        "state": "failed",
        "sets": ["one"],
        "model": "/models/tiny",
        "prompt": "the b",
        "attempts": 0,
        "error": "it broke",
    }
    assert second["state"] == "dead"
    assert rows("jobs", "dead", "--set", "two") == []
    assert len(rows("jobs", "dead", "--limit", "1")) == 1


def test_a_job_given_as_tokens_is_shown_by_them(client: redis.Redis) -> None:
    request = made_request()
    untold = replace(request, prompt=replace(request.prompt, text=None))
    jobs.put(client, [("f" * 64, untold)], prompt_set="tokens")
    jobs.move(client, "f" * 64, JobState.FAILED, error="it broke")
    assert [row["prompt"] for row in rows("jobs", "dead", "--set", "tokens")] == ["<bos> the"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["retry"], "named either by their ids or by a filter such as --set NAME, got neither"),
        (["retry", "aa", "--state", "dead"], "named either by their ids or by a filter such as --set NAME, got both"),
        (["retry", "aa"], "only jobs that failed, died or were cancelled can be retried, but aaaaaaaaaaaa is queued"),
        (["retry", "zz"], "no job begins with 'zz', `circuitbase jobs` lists them"),
        (["cancel"], "got neither"),
        (["cancel", "aa", "--set", "one"], "got both"),
        (["--set", "one", "dead"], "options of `jobs dead` stand behind it"),
        (["--watch", "--state", "dead"], "only --set goes with it"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(client: redis.Redis, arguments: list[str], sentence: str) -> None:
    said = refusal("jobs", *arguments)
    assert sentence in said
    assert said.count("\n") == 1


def test_watching_ends_when_nothing_is_under_way(client: redis.Redis) -> None:
    run("jobs", "cancel", "--set", "one", "--yes")
    watched = run("jobs", "--watch").stdout
    assert watched.startswith("1 failed, 1 dead, 3 cancelled; 0 stored in the last minute, 0 workers on trace")
    assert run("jobs", "--watch", "--set", "nothing").stdout.startswith("no jobs; ")
