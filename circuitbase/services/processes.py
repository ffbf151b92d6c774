"""Background processes that outlive the command that started them, and are found again.

Each is written down in `HOME/processes.json` under a name, with its pid and start time: a process
that merely got the same pid later is another process, and is never taken for it or stopped.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from circuitbase.errors import ServiceError
from circuitbase.services.exclusive import exclusive
from circuitbase.services.interrupts import interrupts_deferred
from circuitbase.services.private_files import write_private
from circuitbase.settings import Settings

PATIENCE_SECONDS = 30.0
KILLED_SECONDS = 10.0  # the kernel may take long to give back gigabytes
ORPHAN_SECONDS = 1.0  # what a process started mostly ends with it
POLL_SECONDS = 0.05
SAME_START_SECONDS = 2.0  # the kernel's clock may be corrected while a process runs


@dataclass(frozen=True)
class Recorded:
    """A background process as written down; `started` in seconds since the epoch."""

    name: str
    pid: int
    started: float
    log: str

    def process(self) -> psutil.Process | None:
        """Returns the process if it still runs, else None."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started) > SAME_START_SECONDS:
                return None
            if process.status() == psutil.STATUS_ZOMBIE:
                with suppress(psutil.TimeoutExpired):
                    process.wait(0)  # a child of this very process that nobody has reaped
                return None
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None
        return process

    @property
    def running(self) -> bool:
        """Returns whether the process still runs."""
        return self.process() is not None


def recorded(settings: Settings) -> list[Recorded]:
    """Returns every process written down, also those that have ended since without `stop`."""
    path = _path(settings)
    if not path.exists():
        return []
    try:
        return [Recorded(**entry) for entry in json.loads(path.read_text())]
    except (json.JSONDecodeError, TypeError) as error:
        raise ServiceError(
            f"{path} should list the processes started here but cannot be read ({error}); "
            "stop them by hand and delete the file"
        ) from error


def find(settings: Settings, name: str) -> Recorded | None:
    """Returns the process written down under a name, running or not."""
    return next((entry for entry in recorded(settings) if entry.name == name), None)


def start(
    settings: Settings,
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Recorded:
    """Starts a process in a session of its own, output to `log`; returns the one that runs already.

    The log of the run before is kept as `<log>.previous`. Ctrl+C cannot come between the start and
    the record, so nothing is started that `stop` does not find.
    """
    with exclusive(settings.home / "processes.lock"), interrupts_deferred():
        entries = {entry.name: entry for entry in recorded(settings)}
        if name in entries and entries[name].running:
            return entries[name]
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists():
            log.replace(log.with_name(log.name + ".previous"))
        pid = _spawn(command, log, os.environ if environment is None else environment)
        entries[name] = Recorded(name, pid, psutil.Process(pid).create_time(), str(log))
        _write(settings, entries)
    return entries[name]


def stop(settings: Settings, name: str, *, patience: float = PATIENCE_SECONDS) -> bool:
    """Ends a process and those it started: SIGTERM, then SIGKILL after `patience` seconds.

    Returns whether it was running. What it had started is ended too, even when it left them behind.
    """
    entry = find(settings, name)
    process = entry.process() if entry else None
    if process is not None:
        _end(process, patience)
    with exclusive(settings.home / "processes.lock"), interrupts_deferred():
        entries = {found.name: found for found in recorded(settings)}
        if entry is not None and entries.get(name) == entry:
            del entries[name]
            _write(settings, entries)
    return process is not None


def ends_within(process: psutil.Process, seconds: float) -> bool:
    """Waits at most that long for a process to end and returns whether it did.

    A zombie has ended: in many containers the first process never reaps what it inherits.
    """
    deadline = time.monotonic() + seconds
    while True:
        with suppress(psutil.TimeoutExpired):
            process.wait(max(0.0, min(POLL_SECONDS, deadline - time.monotonic())))
            return True
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        if time.monotonic() >= deadline:
            return False


def _spawn(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> int:
    # not subprocess.Popen, which insists on outliving what it starts
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return os.posix_spawnp(
        command[0],
        list(command),
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), write, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _end(process: psutil.Process, patience: float) -> None:
    with suppress(psutil.NoSuchProcess):
        family = process.children(recursive=True)
        process.terminate()
        if not ends_within(process, patience):
            process.kill()
            ends_within(process, KILLED_SECONDS)
        for orphan in family:
            if not ends_within(orphan, ORPHAN_SECONDS):
                with suppress(psutil.NoSuchProcess):
                    orphan.kill()


def _path(settings: Settings) -> Path:
    return settings.home / "processes.json"


def _write(settings: Settings, entries: Mapping[str, Recorded]) -> None:
    write_private(_path(settings), json.dumps([asdict(entry) for entry in entries.values()], indent=1) + "\n")
