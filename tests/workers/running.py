"""Real workers, as processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from circuitbase.settings import Settings

START_SECONDS = 180.0
POLL_SECONDS = 0.1
CIRCUITBASE = ("-m", "circuitbase")


@dataclass(frozen=True)
class RunningWorker:
    """A worker process and the log it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def computing_child(self) -> psutil.Process:
        """Returns the child that runs tasks (the other one only tracks semaphores)."""
        return next(child for child in self.children() if "spawn_main" in " ".join(child.cmdline()))


@contextmanager
def running_worker(
    settings: Settings, *, queues: str, log: Path, options: Sequence[str] = (), program: Sequence[str] = CIRCUITBASE
) -> Iterator[RunningWorker]:
    """Runs a worker until the block ends; it is ready when the block begins."""
    command = [sys.executable, *program, "worker", "--queues", queues, "--device", "cpu", *options]
    environment = os.environ | {
        "CIRCUITBASE_HOME": str(settings.home),
        "CIRCUITBASE_STORE": settings.store_url,
        "OMP_NUM_THREADS": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        await_line(log, " ready.", process)
        yield RunningWorker(process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_line(log: Path, text: str, process: subprocess.Popen[bytes]) -> None:
    """Waits until the worker has written something; fails with its log if it ends first."""
    eventually(lambda: text in log.read_text() or process.poll() is not None, seconds=START_SECONDS)
    if text not in log.read_text():
        pytest.fail(f"the worker ended before it wrote {text!r}: {log.read_text()}")


def eventually(happened: Callable[[], bool], *, seconds: float) -> None:
    """Waits until something that nothing announces has happened."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            pytest.fail(f"it did not happen within {seconds} seconds")
        time.sleep(POLL_SECONDS)
