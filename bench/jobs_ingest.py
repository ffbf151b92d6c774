"""Traces a minute that the ingest queue stores: fed 50 a minute, and as fast as one and two workers can.

The traces are invented, of about 15,000 edges each, their files written before. Storing includes what the
queue does with it: records, messages, and a roll-up after every 50 traces of a set.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.jobs_acting import job_of
from bench.jobs_queue import Bench, await_all, stored_jobs
from bench.measurement import Measurement
from circuitbase.graph.trace import Trace
from circuitbase.ingest.prompt_sets import SetPrompt, put_prompts
from circuitbase.workers import jobs
from circuitbase.workers.application import INGEST_QUEUE
from circuitbase.workers.jobs import JobState
from circuitbase.workers.publishing import publish_jobs
from circuitbase.workers.routing import queue_length
from tests.synthetic import synthetic_trace
from tests.workers.running import running_worker

FIRST = 100_000
WARM_UP = 20
FED, FED_PER_MINUTE = 60, 50
AT_ONCE = 100  # so that two roll-ups are due
KEEPS_UP = 0.98
MOST_WORKERS = 2
UNACKNOWLEDGED = "unacked"  # the broker's messages that a worker has and has not ended


def ingest(bench: Bench, *, logs: Path) -> list[Measurement]:
    """Returns the rates with one worker and with two."""
    found, sizes = [], []
    first = FIRST
    with ExitStack() as running:
        for n in range(1, MOST_WORKERS + 1):
            log = logs / f"ingest-{n}.log"
            running.enter_context(running_worker(bench.settings, queues=INGEST_QUEUE, log=log))
            name = f"{n} worker" + "s" * (n > 1)
            warm_up = [large_trace(number) for number in range(first, first + WARM_UP)]
            fed_slowly = [large_trace(number) for number in range(first + 1000, first + 1000 + FED)]
            given_at_once = [large_trace(number) for number in range(first + 2000, first + 2000 + AT_ONCE)]
            _stored_at_once(bench, warm_up, prompt_set=f"warm-up {name}")
            fed = _stored_when_fed(bench, fed_slowly, prompt_set=f"fed {name}")
            _await_roll_ups(bench)
            stored, summed = _stored_at_once(bench, given_at_once, prompt_set=f"at once {name}")
            sizes += [trace.graph.n_edges for trace in fed_slowly + given_at_once]
            goal = KEEPS_UP * FED_PER_MINUTE
            found += [
                Measurement(f"ingest fed {FED_PER_MINUTE} traces a minute, {name}", fed, "traces/min", goal=goal),
                Measurement(f"ingest saturated, {name}", stored, "traces/min"),
                Measurement(f"ingest saturated with roll-ups, {name}", summed, "traces/min"),
            ]
            first += 10_000
    return [*found, Measurement("edges of such a trace, on average", sum(sizes) / len(sizes), "edges")]


def large_trace(number: int) -> Trace:
    """Returns an invented trace of about 15,000 edges."""
    return synthetic_trace(
        number, n_layers=6, n_positions=12, active_per_position=8, n_features=256, edge_probability=0.4
    )


def _stored_at_once(bench: Bench, traces: Sequence[Trace], *, prompt_set: str) -> tuple[float, float]:
    """Returns traces stored a minute, and stored and rolled up a minute, with all of them waiting."""
    ids = _saved(bench, traces, prompt_set=prompt_set)
    begun = time.time()
    _queue(bench, ids, prompt_set=prompt_set)
    await_all(bench.client)
    stored = max(job.changed_at for job in stored_jobs(bench.client, ids)) - begun
    _await_roll_ups(bench)
    return 60 * len(ids) / stored, 60 * len(ids) / (time.time() - begun)


def _stored_when_fed(bench: Bench, traces: Sequence[Trace], *, prompt_set: str) -> float:
    """Returns traces stored a minute, from the first to the last, while one comes in every 1.2 seconds."""
    ids = _saved(bench, traces, prompt_set=prompt_set)
    begun = time.monotonic()
    for place, trace_id in enumerate(ids):
        time.sleep(max(0.0, begun + place * 60 / FED_PER_MINUTE - time.monotonic()))
        _queue(bench, [trace_id], prompt_set=prompt_set)
    await_all(bench.client)
    times = [job.changed_at for job in stored_jobs(bench.client, ids)]
    return 60 * (len(times) - 1) / (max(times) - min(times))


def _saved(bench: Bench, traces: Sequence[Trace], *, prompt_set: str) -> list[str]:
    """Writes the files of traces and puts their prompts into a set; returns their ids."""
    for trace in traces:
        bench.store.save(trace)
    entries = [SetPrompt(prompt_id=trace.metadata.prompt_id, prompt=trace.metadata.prompt) for trace in traces]
    put_prompts(bench.driver, prompt_set, entries, database=bench.settings.neo4j_database)
    return [trace.metadata.trace_id for trace in traces]


def _queue(bench: Bench, trace_ids: Sequence[str], *, prompt_set: str) -> None:
    """Records jobs as traced and sends their messages."""
    _, request = job_of(0, seconds=0.0)
    jobs.put(bench.client, [(trace_id, request) for trace_id in trace_ids], prompt_set=prompt_set)
    for trace_id in trace_ids:
        jobs.move(bench.client, trace_id, JobState.TRACED)
    publish_jobs(bench.app, [(trace_id, JobState.TRACED) for trace_id in trace_ids])


def _await_roll_ups(bench: Bench) -> None:
    """Waits until the queue is empty and no worker has a message of it."""
    while queue_length(bench.client, INGEST_QUEUE) or bench.client.hlen(UNACKNOWLEDGED):
        time.sleep(0.1)
