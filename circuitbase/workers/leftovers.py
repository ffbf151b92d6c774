"""Messages that nobody will acknowledge any more: their worker was killed, or was cut off from Redis.

The broker would send them once more after its visibility timeout, hours later, to a job that has long ended.
"""

import json
from collections.abc import Iterator

import redis

from circuitbase.workers import jobs
from circuitbase.workers.jobs import FINAL

UNACKNOWLEDGED = "unacked"  # the broker's own names: messages by tag, and tags by the time they were received
UNACKNOWLEDGED_INDEX = "unacked_index"
PAGE = 1000


def sweep(client: redis.Redis) -> int:
    """Removes received messages of jobs that have ended; returns how many.

    A worker that acknowledges one of them at the same moment finds it gone, which it does not mind.
    """
    tags = dict(_tags(client))
    states = jobs.states(client, tags.values())
    ended = [tag for tag, state in zip(tags, states, strict=True) if state in FINAL]
    if ended:
        client.hdel(UNACKNOWLEDGED, *ended)
        client.zrem(UNACKNOWLEDGED_INDEX, *ended)
    return len(ended)


def _tags(client: redis.Redis) -> Iterator[tuple[str, str]]:
    """Yields (tag, trace id) of every message that is received and not acknowledged."""
    for tag, text in client.hscan_iter(UNACKNOWLEDGED, count=PAGE):
        message, *_ = json.loads(text)
        yield str(tag), str(message["headers"]["id"])
