"""Private services that end with the process that started them, however it ends."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from circuitbase import services
from circuitbase.settings import Settings

# Stops the services when the other end of its input is closed, by this process or by its death.
GUARD = """
import pathlib, sys
sys.stdin.read()
from circuitbase import services
from circuitbase.settings import Settings
services.down(Settings(home=pathlib.Path(sys.argv[1])))
"""


@contextmanager
def small_services(settings: Settings) -> Iterator[None]:
    """Runs a small Neo4j and a Redis on any ports, as long as the block and this process last."""
    guard = subprocess.Popen(
        [sys.executable, "-c", GUARD, settings.home], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        services.up(settings, memory=services.SMALL, ports=services.Ports(bolt=0, http=0, redis=0))
        yield
    finally:
        services.down(settings)
        guard.communicate()
