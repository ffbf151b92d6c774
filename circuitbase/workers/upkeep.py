"""What a worker's parent process does beside its child: leases, lost jobs, roll-ups that are due.

It runs in a thread of its own, so that a child that computes for long, or a broker that hangs,
delays none of it; the child is a fresh interpreter and inherits nothing of the thread.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from celery import Celery
from celery.worker import state

from circuitbase.workers import leases, publishing
from circuitbase.workers.connection import LOST
from circuitbase.workers.following_queues import follow_queues
from circuitbase.workers.leases import Held
from circuitbase.workers.pending_rollups import take_idle
from circuitbase.workers.presence import announce, leave
from circuitbase.workers.seats import leave_seat
from circuitbase.workers.worker_options import WorkerOptions

TICK_SECONDS = 1.0
RENEW_EVERY_TICKS = 5
SNAPSHOT_ATTEMPTS = 10
LATELY_SECONDS = 15.0  # more than ending a child takes
OTHERS_RETURN_SECONDS = 20.0  # after Redis was away, until all others have had time to renew their leases

log = logging.getLogger(__name__)


class Holding:
    """What this worker holds or held a moment ago: Celery forgets it while it ends its child."""

    def __init__(self) -> None:
        self._seen: dict[Held, float] = {}

    def receive(self, message: Held) -> None:
        """Notes a message that has just come in."""
        self._seen[message] = time.monotonic()

    def look(self) -> set[Held]:
        """Returns the tasks that this worker has received and not ended, and notes them."""
        found = held_messages()
        for message in found:
            self.receive(message)
        return found

    def lately(self) -> set[Held]:
        """Returns the tasks of now and of the last seconds."""
        since = time.monotonic() - LATELY_SECONDS
        self._seen = {message: seen for message, seen in dict(self._seen).items() if seen > since}
        return self.look() | set(self._seen)


@contextmanager
def upkeep(app: Celery, client: redis.Redis, *, options: WorkerOptions, name: str, holding: Holding) -> Iterator[None]:
    """Keeps up presence, queues, leases, lost jobs and roll-ups inside the block; `name` is the worker's in Celery."""
    ended = threading.Event()
    thread = threading.Thread(
        target=_run, args=(app, client, options, name, holding, ended), name="upkeep", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _run(
    app: Celery, client: redis.Redis, options: WorkerOptions, name: str, holding: Holding, ended: threading.Event
) -> None:
    back_at: float | None = time.monotonic() - OTHERS_RETURN_SECONDS
    ticks = 0
    held: set[Held] = set()
    while not ended.wait(TICK_SECONDS):
        try:
            before, held = held, holding.look()
            kinds = follow_queues(app, client, options, name=name)
            leases.release(client, before - held)  # ended, unless its child died
            leases.renew(client, held - before)
            if ticks % RENEW_EVERY_TICKS == 0:
                announce(client, kinds, models=options.models)
                leases.renew(client, held)
            if back_at is None:
                back_at = time.monotonic()
            _look_after_rollups(app, client)
            if time.monotonic() >= back_at + OTHERS_RETURN_SECONDS:
                _look_after_others(app, client)
        except LOST as error:
            if back_at is not None:
                log.warning("Redis is away, leases are not renewed: %s", error)
            back_at = None
            ticks = 0  # the first thing to do when it is back
        else:
            ticks += 1
    with suppress(*LOST):  # then they end by themselves
        leases.release(client, held)
        leave(client, options.queues, models=options.models)
        leave_seat(client)


def held_messages() -> set[Held]:
    """Returns the tasks that this worker has received and not ended."""
    for _ in range(SNAPSHOT_ATTEMPTS):
        try:
            held = [*state.reserved_requests, *state.active_requests, *state.scheduled_requests]
        except RuntimeError:  # the worker's own thread received or ended a task meanwhile
            continue
        return {Held(trace_id=request.id, task=request.name) for request in held}
    return set()


def _look_after_rollups(app: Celery, client: redis.Redis) -> None:
    for prompt_set in take_idle(client):
        publishing.publish_roll_up(app, prompt_set)


def _look_after_others(app: Celery, client: redis.Redis) -> None:
    for trace_id in leases.reap(client, app):
        log.warning("trace %s was lost by a worker and is queued again", trace_id)
