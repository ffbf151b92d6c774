"""Waiting for Redis in the middle of a task: what came of hours of work is not lost for a minute without it."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import redis

T = TypeVar("T")

AWAY = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ReadOnlyError)
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 4 * 3600.0

log = logging.getLogger(__name__)


def patiently(act: Callable[[], T]) -> T:
    """Returns what `act` returns, calling it again after growing pauses while Redis is away, for four hours.

    A wrong password is not waited for.
    """
    waited, pause = 0.0, FIRST_PAUSE_SECONDS
    while True:
        try:
            return act()
        except AWAY as error:
            if waited >= LONGEST_WAIT_SECONDS or isinstance(error, redis.AuthenticationError):
                raise
            if not waited:
                log.warning("Redis is away (%s), waiting for it", type(error).__name__)
            time.sleep(pause)
            waited += pause
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
