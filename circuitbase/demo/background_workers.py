"""One trace worker and one ingest worker in the background, found again by later runs and by `down`."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from circuitbase.errors import ServiceError
from circuitbase.services import processes
from circuitbase.services.processes import Recorded
from circuitbase.settings import CONNECTION_FILE, Settings

QUEUES = ("trace", "ingest")


@dataclass
class BackgroundWorkers:
    """The two workers; `started` are those that this object started, the others ran before."""

    settings: Settings
    started: list[str] = field(default_factory=list)
    restarted: set[str] = field(default_factory=set)

    def start(self) -> None:
        """Starts those that do not run, or that run with other settings or for services that have moved since."""
        for queue in QUEUES:
            found = processes.find(self.settings, worker_name(queue))
            if found is not None and found.running and self._is_outdated(found):
                processes.stop(self.settings, found.name)
            self._start(queue)

    def check(self) -> None:
        """Starts a worker that died again, once; raises ServiceError, with its log, at the second death."""
        for queue in QUEUES:
            found = processes.find(self.settings, worker_name(queue))
            if found is not None and found.running:
                continue
            log = worker_log(self.settings, queue)
            if queue in self.restarted:
                raise ServiceError(
                    f"the {queue} worker ended twice; read why in {log} (and {log.name}.previous), then try again"
                )
            self.restarted.add(queue)
            self._start(queue)

    def stop_started(self) -> None:
        """Stops the workers that this object started; a job at hand is finished first."""
        for name in self.started:
            processes.stop(self.settings, name)

    def _start(self, queue: str) -> None:
        name = worker_name(queue)
        before = processes.find(self.settings, name)
        if before is None or not before.running:
            self.started.append(name)  # noted first, so that Ctrl+C while starting stops it too
        processes.start(
            self.settings,
            name,
            [sys.executable, "-m", "circuitbase", "worker", "--queues", queue],
            log=worker_log(self.settings, queue),
            environment=_environment(self.settings),
        )

    def _is_outdated(self, found: Recorded) -> bool:
        process = found.process()
        if process is None:
            return False
        path = self.settings.home / CONNECTION_FILE
        moved = path.exists() and path.stat().st_mtime > found.started + processes.SAME_START_SECONDS
        return moved or _own_variables(process.environ()) != _own_variables(_environment(self.settings))


def worker_name(queue: str) -> str:
    """Returns the name under which a worker is recorded."""
    return f"{queue}-worker"


def worker_log(settings: Settings, queue: str) -> Path:
    """Returns the file that takes a worker's output."""
    return settings.home / "logs" / f"{worker_name(queue)}.log"


def _environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "CIRCUITBASE_HOME": str(settings.home),
        "CIRCUITBASE_STORE": settings.store_url,
        "OMP_NUM_THREADS": "1",  # a trace is computed on one thread; more would only wait
    }


def _own_variables(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("CIRCUITBASE_")}
