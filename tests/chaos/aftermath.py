"""What is left when the chaos is over: everything once, and nothing else."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import redis
from neo4j import Driver

from circuitbase.ingest.store_check import store_problems
from circuitbase.queries import rollup
from circuitbase.queries.digest import digest
from circuitbase.store.store_files import FileKind, store_files
from circuitbase.store.trace_store import TraceStore
from circuitbase.workers import jobs
from circuitbase.workers.jobs import ACTIVE, JOBS, LEASES, JobState
from circuitbase.workers.pending_rollups import ROLL_UP_AFTER_SECONDS
from circuitbase.workers.unfinished import unfinished

POLL_SECONDS = 0.5
REST_SECONDS = ROLL_UP_AFTER_SECONDS + 3.0  # after which no roll-up is due any more


@dataclass(frozen=True)
class Leftovers:
    """What should be 0: `unacknowledged` messages were received by a worker and never ended."""

    messages: int
    unacknowledged: int
    leases: int
    unfinished_jobs: int
    undone_jobs: int
    temporary_files: int
    store_problems: int
    changed_files: int

    @property
    def total(self) -> int:
        """Returns how many there are of all kinds."""
        return sum(asdict(self).values())


@dataclass(frozen=True)
class Aftermath:
    """`stored_once` counts the traces wanted that are in Neo4j exactly once, `others` all others there."""

    stored_once: int
    others: int
    digest: str
    leftovers: Leftovers


def queue_leftovers(client: redis.Redis) -> dict[str, int]:
    """Returns what Redis still holds of the queue: messages in any list, received ones, leases, jobs under way."""
    lists = list(client.scan_iter(count=1000, _type="list"))
    return {
        "messages": sum(int(client.llen(name)) for name in lists),
        "unacknowledged": int(client.hlen("unacked")),
        "leases": int(client.zcard(LEASES)),
        "unfinished_jobs": int(client.scard(ACTIVE)),
    }


def at_rest(client: redis.Redis, *, seconds: float) -> bool:
    """Waits until the queue has held nothing for so long that no roll-up comes; returns whether it came to that."""
    begun = empty_since = time.monotonic()
    while time.monotonic() - empty_since < REST_SECONDS:
        time.sleep(POLL_SECONDS)
        if any(queue_leftovers(client).values()):
            empty_since = time.monotonic()
        if time.monotonic() - begun > seconds:
            return False
    return True


def aftermath(
    driver: Driver, client: redis.Redis, *, store: TraceStore, database: str, files: Mapping[str, bytes]
) -> Aftermath:
    """Returns what is left, roll-ups added; `files` are the trace files wanted, by trace id."""
    rollup.roll_up(driver, store=store, prompt_set=None, database=database)
    found = driver.execute_query("MATCH (t:Trace) RETURN t.id AS id", database_=database).records
    times = Counter(row["id"] for row in found)
    ids = [str(trace_id) for trace_id in client.zrange(JOBS, 0, -1)]
    states = Counter(jobs.states(client, ids))
    problems = store_problems(driver, store=store, database=database, unfinished=partial(unfinished, client))
    leftovers = Leftovers(
        **queue_leftovers(client),
        undone_jobs=len(files) - states[JobState.STORED],
        temporary_files=sum(file.kind is not FileKind.TRACE for file in store_files(store)),
        store_problems=len(list(problems)),
        changed_files=sum(not _holds(Path(store.location(trace_id)), content) for trace_id, content in files.items()),
    )
    return Aftermath(
        stored_once=sum(times[trace_id] == 1 for trace_id in files),
        others=sum(times.values()) - sum(times[trace_id] for trace_id in files),
        digest=digest(driver, prompt_set=None, database=database).digest,
        leftovers=leftovers,
    )


def _holds(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content
