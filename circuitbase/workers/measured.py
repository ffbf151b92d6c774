"""What a worker's processes count for Prometheus: jobs by outcome, seconds by phase, memory of the GPU.

The child counts and the parent answers (`metrics.py`); they share files in a folder that the parent
makes (`FOLDER_VARIABLE` says so to both). Without it nothing is counted, and the client is not loaded.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from celery import signals

from circuitbase.workers import jobs
from circuitbase.workers.application import ROLL_UP_TASK, STORE_TASK, TRACE_TASK
from circuitbase.workers.connection import LOST

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

FOLDER_VARIABLE = "CIRCUITBASE_METRICS_FOLDER"
CLIENT_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # what the client reads, which others may have set for themselves
PHASES = {TRACE_TASK: "tracing", STORE_TASK: "storing", ROLL_UP_TASK: "rolling_up"}
LOADING = "loading"  # a model or a dictionary, inside of tracing
BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)


@dataclass(frozen=True)
class Instruments:
    """The metrics of one worker."""

    jobs: "Counter"
    seconds: "Histogram"
    gpu_memory: "Gauge"


@cache
def instruments() -> Instruments | None:
    """Returns the metrics of this process, None where nobody asks for them."""
    if FOLDER_VARIABLE not in os.environ:
        return None
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

    registry = CollectorRegistry()
    ended = "Tasks that ended, by the state that their job was left in."
    took = "Seconds that a phase of a job took."
    memory = "Memory of a GPU when the last job on it ended."
    return Instruments(
        jobs=Counter("circuitbase_jobs", ended, ["state"], registry=registry),
        seconds=Histogram("circuitbase_phase_seconds", took, ["phase"], buckets=BUCKETS, registry=registry),
        gpu_memory=Gauge(
            "circuitbase_gpu_memory_bytes",
            memory,
            ["device", "kind"],
            multiprocess_mode="mostrecent",
            registry=registry,
        ),
    )


@contextmanager
def timed(phase: str) -> Iterator[None]:
    """Counts the seconds that the block takes to a phase, also where it fails."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        if (found := instruments()) is not None:
            found.seconds.labels(phase).observe(time.perf_counter() - begun)


def note_gpu_memory(found: Instruments) -> None:
    """Notes the memory of the GPU that this process computes on, if it does."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return
    device = f"cuda:{torch.cuda.current_device()}"
    free, total = torch.cuda.mem_get_info()
    figures = {"total": total, "used": total - free, "peak_allocated": torch.cuda.max_memory_allocated()}
    for kind, size in figures.items():
        found.gpu_memory.labels(device, kind).set(size)


_begun: dict[str, float] = {}


@signals.task_prerun.connect
def _begin(task_id: str, **_: object) -> None:
    _begun[task_id] = time.perf_counter()


@signals.task_postrun.connect
def _end(task_id: str, task: Any, **_: object) -> None:
    seconds = time.perf_counter() - _begun.pop(task_id, time.perf_counter())
    found = instruments()
    if found is None or task.name not in PHASES:
        return
    found.seconds.labels(PHASES[task.name]).observe(seconds)
    note_gpu_memory(found)
    if task.name != ROLL_UP_TASK:
        from circuitbase.workers.process import this_process

        with suppress(*LOST):
            (state,) = jobs.states(this_process().redis, [task_id])
            if state is not None:
                found.jobs.labels(state.value).inc()
