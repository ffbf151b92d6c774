"""Real workers that are started again when they end, as a service manager would."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.chaos.diary import Diary

LOOK_SECONDS = 0.2
RESTART_SECONDS = 1.0  # so that a worker that cannot start does not take the machine
END_SECONDS = 60.0


class SupervisedWorker:
    """One worker, started as often as it ends; its log goes on over all of its lives."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment)
        log.write_bytes(b"")

    def start(self) -> None:
        """Starts its next life."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(self._command, stdout=output, stderr=output, env=self._environment)

    @property
    def is_ready(self) -> bool:
        """Returns whether it has begun to take messages, in this life or before."""
        return b" ready." in self.log.read_bytes()

    def child(self) -> psutil.Process | None:
        """Returns the child that runs tasks (the other one only tracks semaphores); None if there is none now."""
        with suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children():
                if "spawn_main" in " ".join(child.cmdline()):
                    return child
        return None


@contextmanager
def supervised(workers: Sequence[SupervisedWorker], diary: Diary) -> Iterator[None]:
    """Runs workers until the block ends, and starts again what ends before."""
    ended = threading.Event()
    for worker in workers:
        worker.start()
    thread = threading.Thread(target=_restart, args=(workers, diary, ended), name="supervisor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _end(workers)


def _restart(workers: Sequence[SupervisedWorker], diary: Diary, ended: threading.Event) -> None:
    seen: dict[str, float] = {}
    while not ended.wait(LOOK_SECONDS):
        for worker in workers:
            code = worker.process.poll()
            if code is None:
                seen.pop(worker.name, None)
            elif time.monotonic() - seen.setdefault(worker.name, time.monotonic()) > RESTART_SECONDS:
                worker.start()
                diary.note(f"started {worker.name} again as {worker.process.pid}; it had ended with {code}")


def _end(workers: Sequence[SupervisedWorker]) -> None:
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    for worker in workers:
        try:
            worker.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()


def environment_with(**changes: str) -> dict[str, str]:
    """Returns this process's environment without settings of circuitbase other than those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CIRCUITBASE_")}
    kept |= {name: os.environ[name] for name in ("CIRCUITBASE_CACHE",) if name in os.environ}
    return {**kept, "OMP_NUM_THREADS": "1", **changes}
