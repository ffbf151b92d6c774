"""Jobs a second with 1, 2 and 4 workers whose jobs wait for a device, and one more that stores.

Each worker has its device; a job takes a second of it. What is counted ends in the database.
"""

from contextlib import ExitStack
from pathlib import Path

from bench.jobs_acting import PROGRAM
from bench.jobs_queue import Bench, seconds_in_queue
from bench.measurement import Measurement
from tests.workers.running import running_worker

FIRST = 20_000
WORKERS = (1, 2, 4)
WARM_UP = 4
JOBS_PER_WORKER = 40
SECONDS = 1.0
GOAL = 0.95


def scaling(bench: Bench, *, logs: Path) -> list[Measurement]:
    """Returns the jobs a second of each number of workers, and beside that many times one worker's."""
    rates = {}
    first = FIRST
    with ExitStack() as running:
        running.enter_context(
            running_worker(bench.settings, queues="ingest", log=logs / "storing.log", program=PROGRAM)
        )
        for n in range(1, WORKERS[-1] + 1):
            log = logs / f"waiting-{n}.log"
            running.enter_context(running_worker(bench.settings, queues="trace", log=log, program=PROGRAM))
            if n not in WORKERS:
                continue
            warm_up, count = WARM_UP * n, JOBS_PER_WORKER * n
            seconds_in_queue(bench, range(first, first + warm_up), seconds=0.1, prompt_set="warm-up")
            first += warm_up
            rates[n] = count / seconds_in_queue(
                bench, range(first, first + count), seconds=SECONDS, prompt_set="scaling"
            )
            first += count
    return [
        Measurement(f"jobs of 1 s, {WORKERS[0]} worker", rates[WORKERS[0]], "jobs/s"),
        *(
            row
            for n in WORKERS[1:]
            for row in (
                Measurement(f"jobs of 1 s, {n} workers", rates[n], "jobs/s"),
                Measurement(f"{n} workers, of linear", rates[n] / (n * rates[WORKERS[0]]), "ratio", goal=GOAL),
            )
        ),
    ]
