"""When a prompt set is rolled up: after 50 stored traces, or when none came for 5 seconds.

What is never rolled up here is not lost: a reader adds what is pending first.
"""

import redis

ROLL_UP_AFTER_TRACES = 50
ROLL_UP_AFTER_SECONDS = 5.0

_STORED = "circuitbase:rollup:stored"  # prompt set -> traces stored since the last roll-up
_DUE = "circuitbase:rollup:due"  # prompt set by the time at which it has been idle for long enough


def note_stored(client: redis.Redis, prompt_set: str) -> bool:
    """Counts one stored trace of a set; returns whether the set is to be rolled up now."""
    script = client.register_script(_NOTE)
    return bool(script(keys=[_STORED, _DUE], args=[prompt_set, ROLL_UP_AFTER_TRACES, ROLL_UP_AFTER_SECONDS]))


def take_idle(client: redis.Redis) -> list[str]:
    """Returns the sets that have been idle for long enough; each is given to one caller only."""
    seconds, _ = client.time()
    idle = [str(prompt_set) for prompt_set in client.zrangebyscore(_DUE, "-inf", float(seconds))]
    taken = [prompt_set for prompt_set in idle if client.zrem(_DUE, prompt_set)]
    if taken:
        client.hdel(_STORED, *taken)
    return taken


_NOTE = """
local now = redis.call('TIME')
if redis.call('HINCRBY', KEYS[1], ARGV[1], 1) >= tonumber(ARGV[2]) then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 1
end
redis.call('ZADD', KEYS[2], tonumber(now[1]) + tonumber(ARGV[3]), ARGV[1])
return 0
"""
