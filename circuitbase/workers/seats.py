"""Which workers store: two at a time, for more of them only wait for each other's locks.

A worker that listens to the ingest queue takes a seat and renews it; others wait until one is free.
"""

import redis

from circuitbase.workers.presence import worker_name

SEATS = 2
SEAT_SECONDS = 30

_TAKEN = "circuitbase:ingest-seats"  # workers by the time until which they have a seat


def take_seat(client: redis.Redis) -> bool:
    """Takes or renews a seat for the worker of this process; returns whether it has one."""
    script = client.register_script(_TAKE)
    return bool(script(keys=[_TAKEN], args=[worker_name(), SEATS, SEAT_SECONDS]))


def leave_seat(client: redis.Redis) -> None:
    """Gives the seat of this process to whoever waits for one."""
    client.zrem(_TAKEN, worker_name())


# KEYS: the seats
# ARGV: the worker, how many seats there are, for how many seconds one is taken
_TAKE = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local has = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not has and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
return 1
"""
