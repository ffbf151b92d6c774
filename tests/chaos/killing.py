"""Killing a worker in the middle of a job, and only then.

Whether a process is in the middle of a job is known for certain only while it stands still: so its child
is stopped (SIGSTOP), the record of the job it holds is read, and it is killed or goes on.
"""

import signal
import time
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import psutil
import redis

from circuitbase.workers.application import STORE_TASK, TRACE_TASK
from circuitbase.workers.jobs import JobState, key
from tests.chaos.supervisor import SupervisedWorker

SETTLE_SECONDS = 0.1  # what the child had sent when it was stopped arrives
MOST_HITS = 2  # a third death is the job's own fault, by the queue's rule
GONE_SECONDS = 10.0

Part = Literal["child", "worker"]


@dataclass(frozen=True)
class Kill:
    """A kill that was done: of which process, and the job it held then in which state; None: no job."""

    worker: str
    part: Part
    pid: int
    trace_id: str | None
    state: JobState | None


def kill(
    worker: SupervisedWorker,
    client: redis.Redis,
    *,
    during: JobState | None,
    whole: bool,
    hits: Counter[str],
) -> Kill | None:
    """Kills a worker's child, or all of the worker, if it holds a job in that state; `during` None: whatever it does.

    A job that was hit twice is spared. `client` reaches Redis directly. Returns None if nothing was killed.
    """
    child = worker.child()
    if child is None:
        return None
    killed = False
    try:
        child.suspend()
        time.sleep(SETTLE_SECONDS)
        found = _at_work(worker, client)
        trace_id, state = found if found is not None else (None, None)
        if (during is not None and state != during) or (trace_id is not None and _is_spared(client, trace_id, hits)):
            return None
        target = worker.process.pid if whole else child.pid
        worker.forget()
        psutil.Process(target).send_signal(signal.SIGKILL)
        killed = True
        child.wait(GONE_SECONDS)  # no child outlives its parent
    except psutil.NoSuchProcess:
        return None
    finally:
        if not killed:
            _resume(child)
    if trace_id is not None:
        hits[trace_id] += 1
    return Kill(worker.name, "worker" if whole else "child", target, trace_id, state)


def _at_work(worker: SupervisedWorker, client: redis.Redis) -> tuple[str, JobState] | None:
    """Returns the job that a worker's child is in the middle of; others that it holds wait for a retry."""
    working = {TRACE_TASK: JobState.TRACING, STORE_TASK: JobState.STORING}
    for task in reversed(worker.held()):
        state = client.hget(key(task.id), "state")
        if task.name in working and state == working[task.name]:
            return task.id, JobState(state)
    return None


def _is_spared(client: redis.Redis, trace_id: str, hits: Counter[str]) -> bool:
    deaths = int(client.hget(key(trace_id), "deaths") or 0)
    return max(deaths, hits[trace_id]) >= MOST_HITS


def _resume(child: psutil.Process) -> None:
    try:
        child.resume()
    except psutil.NoSuchProcess:
        return
