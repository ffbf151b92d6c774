"""Services that may be killed, with proxies in front of them that may be cut."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from circuitbase import services
from circuitbase.services import processes
from circuitbase.settings import Settings
from tests.chaos.proxy import HOST, Proxy, open_proxy
from tests.chaos.supervisor import SupervisedWorker, environment_with
from tests.service_guard import small_services

Name = Literal["redis", "neo4j"]


@dataclass(frozen=True)
class Arena:
    """The services of `settings`, reached directly there; and only by the proxies from `environment`."""

    settings: Settings
    folder: Path
    proxies: dict[Name, Proxy]

    @property
    def environment(self) -> dict[str, str]:
        """Returns an environment whose settings lead through the proxies."""
        _, user, password = self.settings.neo4j_connection()
        secret = urlsplit(self.settings.redis_connection()).password
        return environment_with(
            CIRCUITBASE_HOME=str(self.folder / "no-services"),
            CIRCUITBASE_STORE=self.settings.store_url,
            CIRCUITBASE_NEO4J_URI=f"bolt://{HOST}:{self.proxies['neo4j'].port}",
            CIRCUITBASE_NEO4J_USER=user,
            CIRCUITBASE_NEO4J_PASSWORD=password,
            CIRCUITBASE_REDIS_URL=f"redis://:{secret}@{HOST}:{self.proxies['redis'].port}/0",
        )

    def worker(self, name: str, command: Sequence[str]) -> SupervisedWorker:
        """Returns a worker that reaches the services by the proxies; it does not run yet."""
        return SupervisedWorker(name, command, self.environment, self.folder / f"{name}.log")

    def kill(self, name: Name) -> int:
        """Kills a service (-9) and returns its pid."""
        entry = processes.find(self.settings, name)
        process = entry.process() if entry else None
        assert process is not None, f"{name} does not run"
        process.kill()
        processes.ends_within(process, processes.KILLED_SECONDS)
        return process.pid

    def start_again(self) -> None:
        """Starts what was killed, on its data and its ports, and waits until it answers."""
        services.up(self.settings, memory=services.SMALL)

    def cut(self, name: Name, *, frozen: bool, seconds: float) -> None:
        """Cuts the way to a service for so long."""
        self.proxies[name].cut(frozen=frozen)
        time.sleep(seconds)
        self.proxies[name].mend()


@contextmanager
def arena(folder: Path) -> Iterator[Arena]:
    """Starts services in a folder, and proxies in front of them; all are ended after the block."""
    settings = Settings(home=folder / "home", store=str(folder / "store"), neo4j_uri=None, redis_url=None)
    with small_services(settings):
        bolt = urlsplit(settings.neo4j_connection()[0]).port
        redis = urlsplit(settings.redis_connection()).port
        assert bolt is not None and redis is not None
        with open_proxy(redis) as before_redis, open_proxy(bolt) as before_neo4j:
            yield Arena(settings, folder, {"redis": before_redis, "neo4j": before_neo4j})
