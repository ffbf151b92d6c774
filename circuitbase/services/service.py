"""Starting one service: recognised if it runs, started again if it crashed, elsewhere if a port is taken."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from circuitbase.errors import ServiceError
from circuitbase.services import processes
from circuitbase.services.ports import accepts, free_port, is_free
from circuitbase.services.reachable import Answer
from circuitbase.settings import Settings

Say = Callable[[str], None]

START_ATTEMPTS = 3  # a port can be taken between choosing it and listening on it
POLL_SECONDS = 0.1
DEAF_PATIENCE_SECONDS = 10.0  # for a server that runs but answers nobody
RIVAL_SECONDS = 1.0  # a server that lost its port ends soon, while the winner refuses our password
_TELLS_OF_ERROR = re.compile(r"ERROR|FATAL|[Ee]xception|[Ee]rror:")


@runtime_checkable
class Service(Protocol):
    """What a private server offers to be started, found again and stopped."""

    @property
    def settings(self) -> Settings:
        """Returns the settings whose home the server lives under."""

    @property
    def name(self) -> str:
        """Returns the name under which its process is written down."""

    @property
    def title(self) -> str:
        """Returns its name for people."""

    @property
    def seconds_to_start(self) -> float:
        """Returns how long a start may take, recovery after a crash included."""

    @property
    def log(self) -> Path:
        """Returns the file that takes its output."""

    def configured(self) -> dict[str, tuple[str, int]]:
        """Returns (address, port) by name of port, as configured last."""

    def configure(self, listen: str, ports: dict[str, int]) -> None:
        """Writes its configuration."""

    def command(self) -> list[str]:
        """Returns its command line."""

    def environment(self) -> dict[str, str]:
        """Returns its environment."""

    def password(self) -> str:
        """Returns its password, generating it at first use."""

    def ask(self) -> Answer:
        """Asks whether it answers."""


def is_running(service: Service) -> bool:
    """Returns whether the server's process runs (it may not answer yet)."""
    entry = processes.find(service.settings, service.name)
    return entry is not None and entry.running


def recognise(service: Service, *, listen: str | None, say: Say) -> bool:
    """Returns whether the server runs and answers; ends one that runs without answering.

    Raises ServiceError if it listens elsewhere than on the address asked for, or refuses its password.
    """
    entry = processes.find(service.settings, service.name)
    if entry is None:
        return False
    if not entry.running:
        say(f"{service.title} ended without `circuitbase down`; starting it again on its data")
        return False
    if _wait_for_answer(service):
        addresses = {address for address, _ in service.configured().values()}
        if listen is not None and addresses != {listen}:
            raise ServiceError(
                f"{service.title} already listens on {', '.join(sorted(addresses))}, not on {listen}; "
                "run `circuitbase down` first"
            )
        say(f"{service.title} is running")
        return True
    say(f"{service.title} (process {entry.pid}) does not answer; starting it again on its data")
    processes.stop(service.settings, service.name, patience=DEAF_PATIENCE_SECONDS)
    return False


def launch(service: Service, *, listen: str, wanted: Mapping[str, int], taken: Iterable[int] = (), say: Say) -> None:
    """Configures the server on free ports and starts its process, without waiting for an answer."""
    service.configure(listen, _choose_ports(service, listen, wanted, set(taken), say))
    processes.start(
        service.settings, service.name, service.command(), log=service.log, environment=service.environment()
    )


def await_answer(service: Service, *, listen: str, wanted: Mapping[str, int], say: Say) -> None:
    """Waits until a launched server answers; launches it elsewhere if it lost its port to another."""
    for attempt in range(1, START_ATTEMPTS + 1):
        if _wait_for_answer(service):
            return
        if is_running(service):
            processes.stop(service.settings, service.name)
            raise ServiceError(
                f"{service.title} did not answer within {service.seconds_to_start:.0f} seconds and was stopped; "
                f"its log is {service.log}"
            )
        log = service.log.read_text(errors="replace") if service.log.exists() else ""
        if "already in use" not in log or attempt == START_ATTEMPTS:
            break
        say(f"{service.title} lost its port to another program while starting; trying others")
        lost = [port for _, port in service.configured().values()]
        launch(service, listen=listen, wanted=wanted, taken=lost, say=say)
    processes.stop(service.settings, service.name)  # takes it off the record
    raise ServiceError(f"{service.title} ended while starting; {service.log} says: {_reason(log)}")


def _reason(log: str) -> str:
    """Returns the first line of a log that tells of an error, else its last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return next((line for line in lines if _TELLS_OF_ERROR.search(line)), lines[-1] if lines else "nothing")


def _wait_for_answer(service: Service) -> bool:
    """Returns True once the server answers, False if its process ends or the time is up."""
    entry = processes.find(service.settings, service.name)
    process = entry.process() if entry else None
    if process is None:
        return False
    deadline = time.monotonic() + service.seconds_to_start
    while time.monotonic() < deadline:
        if _listens(service):
            answer = service.ask()
            if answer.state == "answers":
                return True
            if answer.state == "refuses" and not processes.ends_within(process, RIVAL_SECONDS):
                raise ServiceError(
                    f"{service.title} under {service.settings.home / service.name} refuses the password in "
                    f"{service.settings.home / service.name / 'password'}; if it was changed, write the new one there"
                )
        if processes.ends_within(process, POLL_SECONDS):
            return False
    return False


def _listens(service: Service) -> bool:
    """Returns whether something listens on every port of the server."""
    return all(accepts(address, port) for address, port in service.configured().values())


def _choose_ports(
    service: Service, listen: str, wanted: Mapping[str, int], taken: set[int], say: Say
) -> dict[str, int]:
    before = service.configured()
    chosen: dict[str, int] = {}
    for name, first_choice in wanted.items():
        refused = taken | set(chosen.values())
        known = [before[name][1]] if name in before else []
        candidates = [port for port in [*known, first_choice] if port and port not in refused]
        port = next((port for port in candidates if is_free(listen, port)), None)
        chosen[name] = free_port(listen, first_choice, taken=refused) if port is None else port
        if candidates and chosen[name] != candidates[0]:
            say(f"Port {candidates[0]} is in use, so {service.title} takes {chosen[name]} ({name})")
    return chosen
