"""A worker whose jobs do what their prompt says instead of tracing: it loads no torch, and every failure can be had.

Run as `python -m tests.workers.acting worker ...`; the worker's child imports this file again.
"""

import os
import signal
import time

from celery import Celery

from circuitbase.cli.main import main
from circuitbase.errors import InputError
from circuitbase.graph.trace import Trace
from circuitbase.schema.identity import sha256
from circuitbase.settings import Settings
from circuitbase.workers import jobs
from circuitbase.workers.application import application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import Job, JobState
from circuitbase.workers.process import WorkerProcess
from circuitbase.workers.publishing import publish_jobs
from circuitbase.workers.routing import trace_queue
from tests.synthetic import synthetic_trace
from tests.workers.made_jobs import made_request

PROGRAM = ("-m", "tests.workers.acting")
TRACE = synthetic_trace(41)
SECRET = "hunter2hunter2"


def act(self: WorkerProcess, request: object, *, trace_id: str) -> Trace:
    """Sleeps, hangs where no signal gets through, or fails; else the trace is `TRACE`."""
    match request.prompt.text:  # type: ignore[attr-defined]
        case "sleep":
            for _ in range(3000):
                time.sleep(0.1)
        case "hang":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
            time.sleep(300)  # as inside of a library that never comes back
        case "process":
            raise InputError(f"process {os.getpid()}")
        case "leak":
            raise ValueError(f"no answer from redis://:{SECRET}@queue:6379/0 nor from bolt://neo4j:{SECRET}@base")
    return TRACE


if __name__ in ("__main__", "__mp_main__"):  # a worker, or its child
    WorkerProcess.trace = act  # type: ignore[assignment, method-assign]


def act_out(settings: Settings, *texts: str, model: str = "/models/tiny", first: int = 0) -> list[str]:
    """Queues a job for each text and returns their trace ids; `TRACE`'s for the text "trace".

    The ids come from the model and the numbers of the texts, counted from `first`.
    """
    ids = [
        TRACE.metadata.trace_id if text == "trace" else sha256([model, number])
        for number, text in enumerate(texts, first)
    ]
    requests = [(trace_id, made_request(text, model=model)) for trace_id, text in zip(ids, texts, strict=True)]
    app: Celery
    with open_redis(settings) as client, application(settings) as app:
        jobs.put(client, requests, prompt_set="acted")
        publish_jobs(app, [(trace_id, JobState.QUEUED) for trace_id in ids], queue=trace_queue(requests[0][1]))
    return ids


def record(settings: Settings, trace_id: str) -> Job:
    """Returns a job as it is recorded now."""
    with open_redis(settings) as client:
        found = jobs.get(client, trace_id)
    assert found is not None
    return found


if __name__ == "__main__":
    main(prog_name="circuitbase")
