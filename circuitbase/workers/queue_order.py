"""The order in which a worker asks its queues: what was traced is stored first, and then the model it has loaded.

The broker asks for messages of the highest priority first, in this order, and then for those of the next.
"""

import random
import time
from collections.abc import Iterable

from circuitbase.workers.application import INGEST_QUEUE

TURN_SECONDS = 600.0  # with one model while others wait; loading the next takes a small part of it


class StayWithModel:
    """Keeps the queue of the last trace job first, until it is empty or its turn is over.

    The interface is that of kombu's `round_robin_cycle`. Queues that are new stand in a random place, so
    that workers which begin together spread over the models.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: list[str] = []
        self._turn_of: str | None = None
        self._since = 0.0
        self.update(names)

    def update(self, names: Iterable[str]) -> None:
        """Takes the names of all queues that are asked from now on."""
        wanted = list(names)
        self._names = [name for name in self._names if name in wanted]
        for name in wanted:
            if name not in self._names:
                self._names.insert(random.randint(0, len(self._names)), name)  # no secret

    def consume(self, n: int) -> list[str]:
        """Returns the first n names."""
        return sorted(self._names, key=lambda name: name != INGEST_QUEUE)[:n]

    def rotate(self, last_used: str) -> str:
        """Notes the queue that the last message came from, and returns it."""
        if last_used in self._names and last_used != INGEST_QUEUE:
            now = time.monotonic()
            if last_used != self._turn_of:
                self._turn_of, self._since = last_used, now
            self._names.remove(last_used)
            if now - self._since < TURN_SECONDS:
                self._names.insert(0, last_used)
            else:
                self._names.append(last_used)
                self._turn_of = None
        return last_used
