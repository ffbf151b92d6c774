"""Traces a minute that the ingest queue stores: fed 50 a minute, and as fast as one and two workers can.

The traces are invented, of about 15,000 edges each, their files written before. A worker stores them by its
real task, records and messages included, and rolls up their set after every 50. The processor time, of workers,
Neo4j and Redis together, says what other work on the machine hides: how much there is to do.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.jobs_acting import job_of
from bench.jobs_queue import Bench, await_all, stored_jobs
from bench.measurement import Measurement
from circuitbase.graph.trace import Trace
from circuitbase.ingest.prompt_sets import SetPrompt, put_prompts
from circuitbase.services import processes
from circuitbase.workers import jobs
from circuitbase.workers.application import INGEST_QUEUE
from circuitbase.workers.jobs import JobState
from circuitbase.workers.publishing import publish_jobs
from tests.synthetic import synthetic_trace
from tests.workers.running import RunningWorker, running_worker

FIRST = 100_000
WARM_UP = 15
AT_ONCE = 50  # so that one roll-up is due when the last is stored
FED, FED_PER_MINUTE = 75, 50  # so that a roll-up falls into the feeding
KEEPS_UP = 0.98
MOST_WORKERS = 2
CORES = 2

ROLLED_UP = "MATCH (rollup:Rollup)-[:OVER]->(:PromptSet {name: $set}) RETURN sum(rollup.traces) AS traces"


@dataclass(frozen=True)
class Taken:
    """Wall and processor seconds per trace."""

    wall: float
    processor: float

    @property
    def per_minute(self) -> float:
        """Returns traces a minute."""
        return 60 / self.wall


def ingest(bench: Bench, *, logs: Path) -> list[Measurement]:
    """Returns the rates with one worker and with two, and what a trace takes of the processors."""
    found: list[Measurement] = []
    sizes: list[int] = []
    workers: list[RunningWorker] = []
    with ExitStack() as running:
        for n in range(1, MOST_WORKERS + 1):
            log = logs / f"ingest-{n}.log"
            workers.append(running.enter_context(running_worker(bench.settings, queues=INGEST_QUEUE, log=log)))
            name = f"{n} worker" + "s" * (n > 1)
            warm_up, at_once, slowly = _drawn(FIRST + 1000 * n, WARM_UP, AT_ONCE, FED)
            sizes += [trace.graph.n_edges for trace in (*at_once, *slowly)]
            _stored_at_once(bench, warm_up, workers, prompt_set=f"warm-up, {name}")
            stored, rolled_up = _stored_at_once(bench, at_once, workers, prompt_set=f"at once, {name}")
            fed = _stored_when_fed(bench, slowly, prompt_set=f"fed, {name}")
            goal = KEEPS_UP * FED_PER_MINUTE
            found += [
                Measurement(f"ingest fed {FED_PER_MINUTE} traces a minute, {name}", fed, "traces/min", goal=goal),
                Measurement(f"ingest saturated, {name}", stored.per_minute, "traces/min"),
                Measurement(f"ingest saturated, with roll-ups, {name}", rolled_up.per_minute, "traces/min"),
                Measurement(f"processor time a trace, {name}", stored.processor, "s"),
                Measurement(f"processor time a trace, with roll-ups, {name}", rolled_up.processor, "s"),
                Measurement(
                    f"{CORES} cores with nothing else to do, {name}", 60 * CORES / rolled_up.processor, "traces/min"
                ),
            ]
    return [*found, Measurement("edges of such a trace, on average", sum(sizes) / len(sizes), "edges")]


def _drawn(first: int, *counts: int) -> list[list[Trace]]:
    """Returns lists of invented traces, of numbers that follow each other."""
    numbers = iter(range(first, first + sum(counts)))
    return [[large_trace(next(numbers)) for _ in range(count)] for count in counts]


def large_trace(number: int) -> Trace:
    """Returns an invented trace of about 15,000 edges."""
    return synthetic_trace(
        number, n_layers=6, n_positions=12, active_per_position=8, n_features=256, edge_probability=0.4
    )


def _stored_at_once(
    bench: Bench, traces: Sequence[Trace], workers: Sequence[RunningWorker], *, prompt_set: str
) -> tuple[Taken, Taken]:
    """Returns what storing takes with all of them waiting, and what storing and rolling them up does."""
    ids = _saved(bench, traces, prompt_set=prompt_set)
    begun, processor = time.time(), _processor_seconds(bench, workers)
    _queue(bench, ids, prompt_set=prompt_set)
    await_all(bench.client)
    stored_processor = _processor_seconds(bench, workers) - processor
    stored = max(job.changed_at for job in stored_jobs(bench.client, ids)) - begun
    _await_rolled_up(bench, len(ids), prompt_set=prompt_set)
    wall, processor = time.time() - begun, _processor_seconds(bench, workers) - processor
    return Taken(stored / len(ids), stored_processor / len(ids)), Taken(wall / len(ids), processor / len(ids))


def _stored_when_fed(bench: Bench, traces: Sequence[Trace], *, prompt_set: str) -> float:
    """Returns traces stored a minute, from the first to the last, while one comes in every 1.2 seconds."""
    ids = _saved(bench, traces, prompt_set=prompt_set)
    begun = time.monotonic()
    for place, trace_id in enumerate(ids):
        time.sleep(max(0.0, begun + place * 60 / FED_PER_MINUTE - time.monotonic()))
        _queue(bench, [trace_id], prompt_set=prompt_set)
    await_all(bench.client)
    _await_rolled_up(bench, len(ids), prompt_set=prompt_set)
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


def _await_rolled_up(bench: Bench, count: int, *, prompt_set: str) -> None:
    """Waits until a set's sums are over so many traces."""
    database = bench.settings.neo4j_database
    while bench.driver.execute_query(ROLLED_UP, set=prompt_set, database_=database).records[0]["traces"] < count:
        time.sleep(0.1)


def _processor_seconds(bench: Bench, workers: Sequence[RunningWorker]) -> float:
    """Returns the processor seconds that workers, Neo4j and Redis took since they began."""
    running = [psutil.Process(worker.process.pid) for worker in workers]
    running += [child for worker in workers for child in worker.children()]
    running += [psutil.Process(service.pid) for service in processes.recorded(bench.settings)]
    return sum(sum(process.cpu_times()[:2]) for process in running)
