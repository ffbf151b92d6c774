import io
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import redis
from neo4j import Driver
from rich.console import Console

from circuitbase.cli import job_watch
from circuitbase.cli.job_watch import Look, duration, looks, watch_jobs, watch_line, watch_table
from circuitbase.settings import Settings
from circuitbase.workers import jobs, presence
from circuitbase.workers.census import Census, take_census
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from tests.workers.made_jobs import made_request


@pytest.fixture
def client(settings: Settings, database: Driver) -> Iterator[redis.Redis]:
    with open_redis(settings) as client:
        for name in ("one", "two"):
            jobs.put(client, [(trace_id, made_request()) for trace_id in ("both", name)], prompt_set=name)
        jobs.move(client, "one", JobState.STORED)
        yield client


def made_look() -> Look:
    total = Counter({JobState.QUEUED: 6, JobState.STORED: 3})
    census = Census(by_set={"one": total, "two": Counter()}, total=total, stored_lately=2)
    return Look(census, {"trace": ["host:1", "host:2"], "ingest": []})


def test_a_job_of_two_sets_counts_in_both_and_once_in_all(client: redis.Redis) -> None:
    census = take_census(client)
    assert census.by_set == {
        "one": Counter({JobState.QUEUED: 1, JobState.STORED: 1}),
        "two": Counter({JobState.QUEUED: 2}),
    }
    assert census.total == Counter({JobState.QUEUED: 2, JobState.STORED: 1})
    assert (census.under_way, census.stored_lately, census.seconds_left) == (2, 1, 120.0)
    one = take_census(client, prompt_set="one")
    assert (one.by_set["one"], list(one.by_set)) == (one.total, ["one"])
    client.hset(jobs.key("one"), "changed_at", 0)
    assert take_census(client).seconds_left is None


def test_looking_goes_on_while_something_is_under_way(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    presence.announce(client, ["trace"])
    monkeypatch.setattr(time, "sleep", lambda _: jobs.move(client, "both", JobState.FAILED))
    first, second = looks(client, prompt_set="one")
    assert (first.census.under_way, second.census.under_way) == (1, 0)
    assert first.workers == {"trace": [presence.worker_name()], "ingest": []}


def test_ctrl_c_leaves_quietly(
    settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    watch_jobs(settings, prompt_set=None)
    said = capsys.readouterr()
    assert (said.out.count("\n"), said.err) == (1, "")


def test_without_a_terminal_a_line_is_printed_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    with job_watch.shown() as show:
        show(made_look())
        show(made_look())
        show(Look(Census(by_set={}, total=Counter(), stored_lately=0), {}))
    assert capsys.readouterr().out.splitlines() == [
        "6 queued, 3 stored; 2 stored in the last minute, 3 min left, 2 workers on trace (host:1, host:2), "
        "0 workers on ingest",
        "no jobs; 0 stored in the last minute",
    ]


def test_on_a_terminal_the_table_is_redrawn_in_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with job_watch.shown() as show:
        show(made_look())
        show(made_look())
    written = capsys.readouterr().out
    assert written.count("all") >= 2
    assert "\x1b[1A" in written  # the cursor goes up to the table's first line


def test_the_table_has_a_row_for_each_set_and_one_for_all() -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(watch_table(made_look()))
    text = console.export_text()
    (header,) = [line for line in text.splitlines() if "queued" in line and "set" in line]
    assert [name for name in JobState if name.value in header] == list(JobState)
    for word in ("one", "two", "all", "3 min left", "2 workers on trace"):
        assert word in text
    assert watch_line(made_look()).startswith("6 queued, 3 stored; ")


def test_a_time_is_said_as_a_person_says_it() -> None:
    assert [duration(seconds) for seconds in (42.2, 300.0, 12_000.0)] == ["42 s", "5 min", "3 h 20 min"]
