"""Prompts that kill, hang, exhaust or break their worker, among two hundred good ones."""

import random
from pathlib import Path

from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import jobs
from circuitbase.workers.application import application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from circuitbase.workers.publishing import publish_jobs
from circuitbase.workers.routing import trace_queue
from tests.cli.running import rows
from tests.workers.made_jobs import made_request
from tests.workers.poisonous import FATAL_TO_STORE, PROGRAM, computed, good_prompt, good_trace
from tests.workers.running import eventually, running_worker

N_GOOD = 200
PATIENCE_SECONDS = 400
TIME_LIMIT = 4
KILLED_AFTER = 9

REASONS = {
    "kill": (
        "dead",
        4,
        "3 processes died tracing it: the last was killed by signal 9 (SIGKILL), as when memory",
    ),
    "hang": ("dead", 4, f"3 processes died tracing it: the last was killed after {KILLED_AFTER} seconds"),
    "sleep": ("failed", 1, f"it took longer than the {TIME_LIMIT} seconds that a job may take"),
    "memory": ("failed", 1, "the worker has too little memory for it (MemoryError: Unable to allocate"),
    "recursion": ("failed", 1, "its calls nested more deeply than Python allows (RecursionError: maximum"),
    "input": ("failed", 1, "the prompt should be short, got a long one; shorten it"),
    "unknown": ("failed", 1, "LookupError: a line that no terminal shows: \\udce9!!!"),
    good_prompt(FATAL_TO_STORE): ("dead", 5, "3 processes died storing it: the last ended with exit code 3; see"),
}


def test_poison_is_listed_with_its_own_reason_and_harms_no_good_prompt(
    settings: Settings, database: Driver, tmp_path: Path
) -> None:
    good = {good_trace(seed).metadata.trace_id: good_prompt(seed) for seed in range(N_GOOD)}
    fatal = good_trace(FATAL_TO_STORE).metadata.trace_id
    bad = {f"{number:064x}": name for number, name in enumerate(REASONS) if "good" not in name}
    bad[fatal] = good_prompt(FATAL_TO_STORE)
    assert (len(good), len(bad)) == (N_GOOD, len(REASONS))
    queue(settings, good | bad)
    limits = ("--time-limit", str(TIME_LIMIT))
    with (
        open_redis(settings) as client,
        running_worker(settings, queues="trace", log=tmp_path / "one.log", options=limits, program=PROGRAM),
        running_worker(settings, queues="trace", log=tmp_path / "two.log", options=limits, program=PROGRAM),
        running_worker(settings, queues="ingest", log=tmp_path / "ingest.log", program=PROGRAM),
    ):
        eventually(lambda: client.scard(jobs.ACTIVE) == 0, seconds=PATIENCE_SECONDS)
        assert set(jobs.states(client, good)) == {JobState.STORED}
        assert {job.attempts for job in jobs.read(client, good)} == {2}  # traced once, stored once
    assert sorted(computed(settings.store_url)) == sorted([*good, fatal])
    found = database.execute_query("MATCH (t:Trace) RETURN t.id AS id").records
    assert sorted(row["id"] for row in found) == sorted(good)
    listed = {row["trace"]: row for row in rows("jobs", "dead")}
    assert {trace_id: row["prompt"] for trace_id, row in listed.items()} == bad
    for trace_id, name in bad.items():
        state, attempts, reason = REASONS[name]
        row = listed[trace_id]
        assert (row["state"], row["attempts"]) == (state, attempts), row
        assert row["error"].startswith(reason), row
        assert len(row["error"]) < 2000


def queue(settings: Settings, prompts: dict[str, str]) -> None:
    """Queues a job for each prompt by trace id, in an order that mixes them."""
    ids = sorted(prompts)
    random.Random(0).shuffle(ids)
    with open_redis(settings) as client, application(settings) as app:
        requests = [(trace_id, made_request(prompts[trace_id])) for trace_id in ids]
        jobs.put(client, requests, prompt_set="mixed")
        publish_jobs(app, [(trace_id, JobState.QUEUED) for trace_id in ids], queue=trace_queue(requests[0][1]))
