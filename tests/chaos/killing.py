"""Killing a worker in the middle of a job, and only then.

Whether a process is in the middle of a job is known for certain only while it stands still: so its child
is stopped (SIGSTOP), the record of the job it holds is read, and it is killed or goes on.
"""

import platform
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import psutil
import redis

from circuitbase.workers.jobs import ACTIVE, JobState, key
from tests.chaos.supervisor import SupervisedWorker

SETTLE_SECONDS = 0.1  # what the child had sent when it was stopped arrives
MOST_HITS = 2  # a third death is the job's own fault, by the queue's rule
GONE_SECONDS = 10.0

Part = Literal["child", "worker"]


@dataclass(frozen=True)
class AtWork:
    """The job that a worker is in the middle of; `attempt` tells it from the same job begun again."""

    trace_id: str
    state: JobState
    attempt: int
    deaths: int


@dataclass(frozen=True)
class Kill:
    """A kill that was done: of which process, and the job it was in the middle of, None without one."""

    worker: str
    part: Part
    pid: int
    job: AtWork | None


class Killer:
    """Kills workers, and spares a job that was hit twice; `client` reaches Redis directly."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._hits: Counter[str] = Counter()
        self._attempts_hit: set[tuple[str, int]] = set()

    def kill(self, worker: SupervisedWorker, *, during: JobState | None, whole: bool) -> Kill | None:
        """Kills a worker's child or (`whole`) parent, if the child is in that state of a job; None: whatever it does.

        Returns None if nothing was killed.
        """
        child = worker.child()
        if child is None:
            return None
        target = worker.process.pid if whole else child.pid
        killed = False
        with suppress(psutil.NoSuchProcess):
            child.suspend()
            try:
                time.sleep(SETTLE_SECONDS)
                job = self._at_work(worker)
                if not self._is_wanted(job, during):
                    return None
                psutil.Process(target).send_signal(signal.SIGKILL)
                killed = True
            finally:
                if not killed:
                    child.resume()
            child.wait(GONE_SECONDS)  # no child outlives its parent
        if not killed:
            return None
        if job is not None:
            self._hits[job.trace_id] += 1
            self._attempts_hit.add((job.trace_id, job.attempt))
        return Kill(worker.name, "worker" if whole else "child", target, job)

    def _is_wanted(self, job: AtWork | None, during: JobState | None) -> bool:
        if during is not None and (job is None or job.state != during):
            return False
        return job is None or max(job.deaths, self._hits[job.trace_id]) < MOST_HITS

    def _at_work(self, worker: SupervisedWorker) -> AtWork | None:
        """Returns the job whose record says that this worker is in the middle of it."""
        holder = f"{platform.node()}:{worker.process.pid}"
        ids = sorted(str(trace_id) for trace_id in self._client.smembers(ACTIVE))
        pipeline = self._client.pipeline(transaction=False)
        for trace_id in ids:
            pipeline.hmget(key(trace_id), "state", "holder", "attempts", "deaths")
        for trace_id, (state, found, attempts, deaths) in zip(ids, pipeline.execute(), strict=True):
            if found != holder or state not in (JobState.TRACING, JobState.STORING):
                continue
            # a job whose child was killed says so, too, until its message comes again
            if (trace_id, int(attempts)) not in self._attempts_hit:
                return AtWork(trace_id, JobState(state), int(attempts), int(deaths))
        return None
