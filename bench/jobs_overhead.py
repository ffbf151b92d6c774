"""Time per job in the queue beside the same calls in a loop, for jobs of a second and for empty ones.

In the queue one worker process with one child takes both queues; a job is its two messages, its record and
lease in Redis, its trace file, and its trace in the database. The loop calls the same functions in one
process: it waits, writes the file, reads it back and stores the trace. Roll-ups are left out of both.
Rounds take turns, and the fastest of each side counts, as whatever else runs can only add to either.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.jobs_acting import PROGRAM, job_of, waited
from bench.jobs_queue import Bench, seconds_in_queue
from bench.measurement import Measurement
from circuitbase.ingest.trace_writer import store_trace
from tests.workers.running import running_worker

FIRST = 0
WARM_UP = 60
EMPTY_JOBS, EMPTY_ROUNDS = 100, 7
LONG_JOBS, LONG_ROUNDS, LONG_SECONDS = 20, 2, 1.0
LONG_GOAL, EMPTY_GOAL = 5.0, 20.0  # percent, milliseconds


def overhead(bench: Bench, *, logs: Path) -> list[Measurement]:
    """Returns the milliseconds and the percentage that the queue adds to a job."""
    numbers = iter(range(FIRST, FIRST + 10_000))
    with running_worker(bench.settings, queues="trace,ingest", log=logs / "overhead.log", program=PROGRAM):
        compared(bench, [next(numbers) for _ in range(2 * WARM_UP)], seconds=0.0)
        empty = _fastest(bench, numbers, n=EMPTY_JOBS, rounds=EMPTY_ROUNDS, seconds=0.0)
        long = _fastest(bench, numbers, n=LONG_JOBS, rounds=LONG_ROUNDS, seconds=LONG_SECONDS)
    return [
        Measurement("an empty job in the queue, beside a loop", 1000 * empty[0], "ms", 1000 * empty[1], better="lower"),
        Measurement("overhead per empty job", 1000 * (empty[0] - empty[1]), "ms", goal=EMPTY_GOAL, better="lower"),
        Measurement("a job of 1 s in the queue, beside a loop", long[0], "s", long[1], better="lower"),
        Measurement("overhead per job of 1 s", 100 * (long[0] / long[1] - 1), "%", goal=LONG_GOAL, better="lower"),
    ]


def _fastest(bench: Bench, numbers: Iterator[int], *, n: int, rounds: int, seconds: float) -> tuple[float, float]:
    found = [compared(bench, [next(numbers) for _ in range(2 * n)], seconds=seconds) for _ in range(rounds)]
    return min(queue for queue, _ in found), min(loop for _, loop in found)


def compared(bench: Bench, numbers: Sequence[int], *, seconds: float) -> tuple[float, float]:
    """Returns the seconds per job in the queue, with the first half of the numbers, and in a loop, with the others."""
    n = len(numbers) // 2
    in_queue = seconds_in_queue(bench, numbers[:n], seconds=seconds, prompt_set="in the queue") / n
    return in_queue, _seconds_in_loop(bench, numbers[n:], seconds=seconds) / n


def _seconds_in_loop(bench: Bench, numbers: Sequence[int], *, seconds: float) -> float:
    requests = [job_of(number, seconds=seconds)[1] for number in numbers]
    store, database = bench.store, bench.settings.neo4j_database
    begun = time.perf_counter()
    for request in requests:
        trace = waited(request)
        store.save(trace)
        store_trace(bench.driver, store.load(trace.metadata.trace_id), database=database)
    return time.perf_counter() - begun
