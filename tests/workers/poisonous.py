"""A worker without torch whose prompts do harm, each in its own way, or become a small trace of their own.

Run as `python -m tests.workers.poisonous worker ...`; the worker's child imports this file again, and lives
with little memory, as under `ulimit -v`.
"""

import os
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np

from circuitbase.cli.main import main
from circuitbase.errors import InputError
from circuitbase.graph.trace import Trace
from circuitbase.ingest import trace_writer
from circuitbase.settings import load_settings
from circuitbase.workers.job_request import JobRequest
from circuitbase.workers.process import WorkerProcess
from tests.synthetic import synthetic_trace

PROGRAM = ("-m", "tests.workers.poisonous")
CHILD_MEMORY = 3 * 2**30  # of addresses, most of which no process ever touches
FATAL_TO_STORE = 977  # the seed of a good trace that ends whoever stores it
COMPUTED = "computed"  # a file beside the store: the id of every trace, each time that it is computed


def good_prompt(seed: int) -> str:
    """Returns the prompt whose trace is `good_trace` of the seed."""
    return f"good {seed}"


def good_trace(seed: int) -> Trace:
    return synthetic_trace(seed, n_positions=4, n_layers=2, active_per_position=2)


def act(self: WorkerProcess, request: JobRequest, *, trace_id: str) -> Trace:
    """Does the harm that the prompt names; returns the trace of a good one."""
    match str(request.prompt.text).split():
        case ["kill"]:
            os.kill(os.getpid(), signal.SIGKILL)  # what the kernel does to a process when memory runs out
        case ["sleep"]:
            for _ in range(600):
                time.sleep(0.1)
        case ["hang"]:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
            time.sleep(60)
        case ["memory"]:
            take_all_memory()
        case ["recursion"]:
            act(self, request, trace_id=trace_id)
        case ["input"]:
            raise InputError("the prompt should be short, got a long one; shorten it")
        case ["unknown"]:
            raise LookupError("a line that no terminal shows: \udce9" + "!" * 10_000)
        case ["good", seed]:
            note_computed(self.settings.store_url, trace_id)
            return good_trace(int(seed))
    raise AssertionError("a prompt of this worker is good, or does harm")


def take_all_memory() -> None:
    """Allocates until not a page is left, and holds it all until the error has been dealt with."""
    held = []
    size = 2**28
    while True:
        try:
            held.append(np.empty(size, np.uint8))  # which touches none of it
        except MemoryError:
            if size == 2**16:
                raise
            size //= 2


def note_computed(store_url: str, trace_id: str) -> None:
    """Appends an id to the file of what was computed; so short a line is written by one call, as a whole."""
    with (Path(store_url).parent / COMPUTED).open("a") as file:
        file.write(f"{trace_id}\n")


def computed(store_url: str) -> list[str]:
    """Returns the ids of what was computed, each as often as it was."""
    return (Path(store_url).parent / COMPUTED).read_text().split()


def store_or_die(driver: object, trace: Trace, **options: object) -> None:
    if trace.metadata.trace_id == good_trace(FATAL_TO_STORE).metadata.trace_id:
        os._exit(3)
    _store_trace(driver, trace, **options)  # type: ignore[arg-type]


_store_trace = trace_writer.store_trace

if __name__ in ("__main__", "__mp_main__"):  # a worker, or its child
    WorkerProcess.trace = act  # type: ignore[assignment, method-assign]
    trace_writer.store_trace = store_or_die  # type: ignore[assignment]

if __name__ == "__mp_main__":
    Path(load_settings().store_url).mkdir(parents=True, exist_ok=True)
    resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))

if __name__ == "__main__":
    sys.exit(main(prog_name="circuitbase"))
