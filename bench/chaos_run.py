"""One run of prompts through the queue, undisturbed or by a schedule, and what it left."""

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from circuitbase.demo import packaged
from circuitbase.ingest.connection import open_driver
from circuitbase.store.prompt_line import PromptLine
from circuitbase.store.trace_store import TraceStore
from circuitbase.workers.connection import open_redis
from circuitbase.workers.submission import Asked, submit
from tests.chaos.aftermath import Aftermath, aftermath
from tests.chaos.arena import Arena
from tests.chaos.conductor import Conductor
from tests.chaos.diary import Diary
from tests.chaos.emptying import empty
from tests.chaos.schedule import Event, Stroke
from tests.chaos.supervisor import supervised

MOST_INGEST_WORKERS = 2
PATIENCE_SECONDS = 1800.0


@dataclass(frozen=True)
class Run:
    """How often each stroke fell, how long it took from the first prompt to rest, and what it left."""

    fallen: Counter[Stroke]
    seconds: float
    left: Aftermath


def run(
    arena: Arena,
    texts: Sequence[str],
    rounds: Sequence[Sequence[Event]],
    *,
    workers: int,
    seed: int,
    diary: Diary,
    files: Mapping[str, bytes],
) -> Run:
    """Traces and stores the prompts in an empty database while the schedule falls; `files` are those wanted."""
    settings, database = arena.settings, arena.settings.neo4j_database
    store = TraceStore(settings.store_url)
    asked = Asked(
        model=str(packaged.model_folder()),
        dictionary=str(packaged.transcoder_folder()),
        prompt_set="chaos",
        target="probable",
    )

    def queue_jobs(number: int) -> int:
        chosen = texts[number :: len(rounds)]
        lines = [PromptLine(number=place, prompt=text) for place, text in enumerate(chosen, start=1)]
        return submit(lines, source="the chaos", asked=asked, settings=settings).new

    with open_driver(settings) as driver, open_redis(settings) as client:
        empty(driver, database=database)
        client.flushall()
        team = [arena.worker(name, command(name)) for name in names(workers)]
        with supervised(team, diary):
            conductor = Conductor(arena, team, client, diary, queue_jobs, seed=seed)
            conductor.await_workers(seconds=PATIENCE_SECONDS)
            begun = time.monotonic()
            fallen = conductor.run(rounds)
            conductor.await_end(seconds=PATIENCE_SECONDS)
            seconds = time.monotonic() - begun
        left = aftermath(driver, client, store=store, database=database, files=files)
    return Run(fallen, seconds, left)


def names(workers: int) -> list[str]:
    """Returns a name for each worker: one or two of them store, and the others trace."""
    ingest = min(MOST_INGEST_WORKERS, workers // 2)
    return [f"{'ingest' if number < ingest else 'trace'}-{number + 1}" for number in range(workers)]


def command(name: str) -> list[str]:
    """Returns the command line of a worker of that name."""
    return [sys.executable, "-m", "circuitbase", "worker", "--queues", name.partition("-")[0], "--device", "cpu"]
