"""A worker that invents its traces after a moment's sleep, so that it loads no torch and can be replaced in seconds.

Run as `python -m tests.chaos.synthetic_worker worker ...`; the worker's child imports this file again.
"""

import time

from circuitbase.cli.main import main
from circuitbase.graph.trace import Trace
from circuitbase.workers.process import WorkerProcess
from tests.synthetic import synthetic_trace

PROGRAM = ("-m", "tests.chaos.synthetic_worker")
SECONDS = 0.4  # as if it were computed, so that it can be hit


def invented(self: WorkerProcess, request: object, *, trace_id: str) -> Trace:
    """Returns the trace of the seed that stands in place of a prompt."""
    time.sleep(SECONDS)
    return synthetic_trace(int(request.prompt.text))  # type: ignore[attr-defined]


if __name__ in ("__main__", "__mp_main__"):  # a worker, or its child
    WorkerProcess.trace = invented  # type: ignore[assignment, method-assign]

if __name__ == "__main__":
    main(prog_name="circuitbase")
