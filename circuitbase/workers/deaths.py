"""Jobs whose process died: how it ended, as the worker's parent saw it, and the sentence for those given up.

The parent notes it before the broker gets the message back, and frees the lease, so that the next worker
that takes the message finds a job which nobody holds.
"""

import logging
import re

import redis
from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker import state as worker_state
from celery.worker.request import Request

from circuitbase.workers import jobs
from circuitbase.workers.connection import LOST, redis_client
from circuitbase.workers.jobs import JobState
from circuitbase.workers.leases import Held, release

_STATUS = re.compile(r"prematurely: (?:(?P<signal>signal .+?)|exitcode (?P<code>\d+))(?: Job: .*|\.)?$")
_OUT_OF_MEMORY = "signal 9"  # the kernel's way

log = logging.getLogger(__name__)


class WatchedRequest(Request):
    """A message that a worker has received; the death of the process that works on it is noted."""

    def on_failure(self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False) -> object:
        """Notes how the process of a job ended, if it did, before Celery hands the message back."""
        how = ending(exc_info.exception)
        if how is not None and worker_state.should_terminate is None:  # else the worker itself has ended it
            try:
                with redis_client(self.app.conf.broker_url) as client:
                    note_death(client, Held(trace_id=self.id, task=self.name), how)
            except LOST as error:
                log.warning("Redis is away, it is not noted that a process %s: %s", how, error)
        return super().on_failure(exc_info, send_failed_event, return_ok)


def ending(error: BaseException) -> str | None:
    """Returns how the process of a task ended, None for an error that it lived through."""
    if isinstance(error, ExceptionWithTraceback):
        error = error.exc
    if isinstance(error, TimeLimitExceeded):
        return f"was killed after {error.args[0]:g} seconds, as it had not ended at its time limit"
    if isinstance(error, SystemExit):
        return f"ended with exit code {0 if error.code is None else error.code}"
    if not isinstance(error, WorkerLostError):
        return None
    status = _STATUS.search(str(error))
    if status is None:
        return f"ended ({error})"
    if code := status["code"]:
        return f"ended with exit code {code}"
    hint = ", as when memory runs out" if status["signal"].startswith(_OUT_OF_MEMORY) else ""
    return f"was killed by {status['signal']}{hint}"


def note_death(client: redis.Redis, message: Held, how: str) -> None:
    """Writes into the job's record how its process ended, and frees its lease."""
    client.register_script(_NOTE)(keys=[jobs.key(message.trace_id)], args=[how])
    release(client, [message])


def given_up(client: redis.Redis, trace_id: str, *, deaths: int, state: JobState) -> str:
    """Returns the sentence about a job that is given up after so many deaths in a state."""
    seen = client.hget(jobs.key(trace_id), "ending")
    how = f"the last {seen!s}" if seen else "nobody saw how, so it was the whole worker or its machine"
    return f"{deaths} processes died {state} it: {how}; see the worker's log, then `circuitbase jobs retry`"


# KEYS: the job
# ARGV: how its process ended
_NOTE = """
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'ending', ARGV[1]) end
"""
