"""What a task's exception means: the job can never work, or it will once a service is back."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from celery import Task
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded
from kombu.exceptions import OperationalError
from neo4j.exceptions import ConnectionAcquisitionTimeoutError, DriverError, IncompleteCommit, Neo4jError

from circuitbase.errors import CircuitbaseError, ServiceError
from circuitbase.workers import jobs
from circuitbase.workers.jobs import JobState
from circuitbase.workers.patience import AWAY, patiently

FIRST_PAUSE_SECONDS = 2
LONGEST_PAUSE_SECONDS = 300
MOST_RETRIES = 50  # about three and a half hours

TRANSIENT = (ServiceError, OperationalError, ConnectionError, TimeoutError, *AWAY)
# The driver does not repeat them by itself: the one may have been written, which does no harm here.
ALSO_RETRYABLE = (IncompleteCommit, ConnectionAcquisitionTimeoutError)
INTERRUPTED = {  # what a database says that is shut down, or too busy, in the middle of a transaction
    "Neo.ClientError.Transaction.Terminated",
    "Neo.ClientError.Transaction.LockClientStopped",
    "Neo.ClientError.Transaction.TransactionTimedOut",
}
PASSWORD_IN_URL = re.compile(r"(?<=://)[^/@\s]*@")

log = logging.getLogger(__name__)


@contextmanager
def failures_recorded(
    task: Task, client: redis.Redis, trace_id: str, *, waits_as: JobState, worker: str = ""
) -> Iterator[None]:
    """Fails the job for good, with a sentence, or retries the task after a growing pause.

    A job that waits for a retry goes back to the state `waits_as`, with the reason; while Redis is away, the
    task waits for it, so that the attempt is not taken for a death.
    """
    try:
        yield
    except (Retry, Ignore, Reject):
        raise
    except Exception as error:
        late = is_late(error)
        sentence = too_late(task.app.conf.task_soft_time_limit) if late else reason(error)
        if not late and is_transient(error) and task.request.retries < MOST_RETRIES:
            log.warning("trace %s waits: %s", trace_id, sentence)
            if not patiently(lambda: jobs.move(client, trace_id, waits_as, error=sentence, worker=worker)):
                return  # it was cancelled meanwhile, or another process has done it
            raise task.retry(exc=error, countdown=pause_seconds(task.request.retries), max_retries=None) from error
        known = late or isinstance(error, CircuitbaseError)
        log.error("trace %s failed: %s", trace_id, sentence, exc_info=not known)
        patiently(lambda: jobs.move(client, trace_id, JobState.FAILED, error=sentence, worker=worker))


def is_late(error: BaseException) -> bool:
    """Returns whether the time limit ended the task, whatever was made of it on the way up."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, SoftTimeLimitExceeded):
            return True
        found = found.__cause__ or found.__context__
    return False


def too_late(seconds: float) -> str:
    """Returns the sentence about a job that was ended by its time limit."""
    return (
        f"it took longer than the {seconds:g} seconds that a job may take; shorten the prompt, or raise "
        "`worker --time-limit` (CIRCUITBASE_TIME_LIMIT), and submit it again"
    )


def is_transient(error: BaseException) -> bool:
    """Returns whether the same task can succeed later without anyone changing its input.

    An error that was raised from a transient one is transient, whatever sentence it became.
    """
    if isinstance(error, Neo4jError) and error.code in INTERRUPTED:
        return True
    if isinstance(error, Neo4jError | DriverError):
        return error.is_retryable() or isinstance(error, ALSO_RETRYABLE)
    if isinstance(error, TRANSIENT):
        return True
    return error.__cause__ is not None and is_transient(error.__cause__)


def pause_seconds(retries: int) -> int:
    """Returns how long to wait before the next attempt: 2, 4, 8 ... 300 seconds."""
    return min(FIRST_PAUSE_SECONDS * 2**retries, LONGEST_PAUSE_SECONDS)


def reason(error: BaseException) -> str:
    """Returns the sentence of an error of ours, or the type and first line of any other.

    What stands before the host of a URL is left out, for it can be a password.
    """
    if isinstance(error, CircuitbaseError):
        return PASSWORD_IN_URL.sub("", str(error))
    first_line = (str(error).strip().splitlines() or [""])[0]
    return PASSWORD_IN_URL.sub("", f"{type(error).__name__}: {first_line}".rstrip(": "))
