"""A worker whose jobs wait instead of computing: a device that takes as long as it is told, without torch.

Run as `python -m bench.jobs_acting worker ...`; the worker's child imports this file again. What it finds
is an invented trace, the same for the same number, so that whoever queues the job knows its id.
"""

import time

from circuitbase.cli.main import main
from circuitbase.graph.trace import Trace, TracedPrompt
from circuitbase.tracing.options import TraceOptions
from circuitbase.workers.job_request import JobRequest
from circuitbase.workers.process import WorkerProcess
from tests.synthetic import D_VOCAB, synthetic_trace

PROGRAM = ("-m", "bench.jobs_acting")
POSITIONS = 6


def job_of(number: int, *, seconds: float) -> tuple[str, JobRequest]:
    """Returns the trace id and the request of a job that takes so many seconds of a device."""
    prompt = TracedPrompt(
        text=f"{number} {seconds}", token_ids=(0, 1), token_strings=("<bos>", "a"), positions_without_nodes=(0,)
    )
    request = JobRequest(
        model="/models/acting", dictionary="/models/acting-tc", prompt=prompt, roles=(), options=TraceOptions()
    )
    return trace_of(number).metadata.trace_id, request


def trace_of(number: int) -> Trace:
    """Returns the invented trace of a number, of about 20 nodes and 60 edges."""
    digits = [number // (D_VOCAB - 1) ** place % (D_VOCAB - 1) + 1 for place in range(POSITIONS - 1)]
    return synthetic_trace(number, token_ids=(0, *digits))


def waited(request: JobRequest) -> Trace:
    """Returns the trace that a request asks for, after the seconds that it says."""
    number, seconds = str(request.prompt.text).split()
    time.sleep(float(seconds))
    return trace_of(int(number))


def act(self: WorkerProcess, request: JobRequest, *, trace_id: str) -> Trace:
    """Stands in for tracing."""
    return waited(request)


if __name__ in ("__main__", "__mp_main__"):  # a worker, or its child
    WorkerProcess.trace = act  # type: ignore[method-assign]

if __name__ == "__main__":
    main(prog_name="circuitbase")
