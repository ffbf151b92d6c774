"""Watching jobs until each is in a final state, woken by their changes rather than by a clock."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import redis
from celery import Celery

from circuitbase.workers import jobs, leases
from circuitbase.workers.jobs import CHANGED, FINAL, JobState

LOOK_AGAIN_SECONDS = 2.0  # a message about a change can be missed; then this is the longest delay


@dataclass(frozen=True)
class Progress:
    """How far a number of jobs came; `gone` have no record any more (Redis lost it)."""

    total: int
    traced: int
    stored: int
    failed: int
    dead: int
    cancelled: int
    gone: int

    @property
    def ended(self) -> bool:
        """Returns whether nothing is under way."""
        return self.stored + self.undone == self.total

    @property
    def undone(self) -> int:
        """Returns how many ended without a trace in the database."""
        return self.failed + self.dead + self.cancelled + self.gone

    @property
    def all_stored(self) -> bool:
        """Returns whether every trace is in the database."""
        return self.stored == self.total

    def after(self, stored: int) -> "Progress":
        """Returns the progress with traces counted that were stored before the jobs were queued."""
        return replace(self, total=self.total + stored, traced=self.traced + stored, stored=self.stored + stored)


def follow(client: redis.Redis, app: Celery, trace_ids: Sequence[str]) -> Iterator[Progress]:
    """Yields the progress of jobs at first, after changes, and at least every 2 seconds, until all ended.

    Sends the messages of lost jobs again meanwhile, for the case that no worker is left to do it.
    """
    ended: Counter[JobState | None] = Counter()
    open_ids = list(trace_ids)
    with client.pubsub(ignore_subscribe_messages=True) as changes:
        changes.subscribe(CHANGED)
        while True:
            states = list(jobs.states(client, open_ids))
            ended.update(state for state in states if state is None or state in FINAL)
            under_way = Counter(state for state in states if state is not None and state not in FINAL)
            open_ids = [
                i for i, state in zip(open_ids, states, strict=True) if state is not None and state not in FINAL
            ]
            yield _progress(len(trace_ids), ended, under_way)
            if not open_ids:
                return
            leases.reap(client, app)
            changes.get_message(timeout=LOOK_AGAIN_SECONDS)
            while changes.get_message() is not None:
                pass


def _progress(total: int, ended: Counter[JobState | None], under_way: Counter[JobState]) -> Progress:
    stored = ended[JobState.STORED]
    return Progress(
        total=total,
        traced=stored + under_way[JobState.TRACED] + under_way[JobState.STORING],
        stored=stored,
        failed=ended[JobState.FAILED],
        dead=ended[JobState.DEAD],
        cancelled=ended[JobState.CANCELLED],
        gone=ended[None],
    )
