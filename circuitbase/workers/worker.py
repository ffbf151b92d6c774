"""One worker: a parent process that talks to the broker, and one child that computes."""

import os
import platform
import signal
import sys
from collections.abc import Sequence

from billiard.util import set_pdeathsig
from celery import signals

from circuitbase.settings import Settings
from circuitbase.workers.application import application
from circuitbase.workers.connection import redis_client
from circuitbase.workers.upkeep import upkeep


def run_worker(settings: Settings, *, queues: Sequence[str], device: str) -> int:
    """Runs until SIGTERM or Ctrl+C, finishing the job at hand; returns the exit code.

    A second Ctrl+C hands the job back instead of finishing it.
    """
    app = application(settings, device=device)
    with redis_client(settings.redis_connection()) as client, upkeep(app, client, queues=queues):
        worker = app.Worker(
            hostname=f"{'-'.join(queues)}-{os.getpid()}@{platform.node()}",
            pool="prefork",
            queues=list(queues),
            loglevel="INFO",
            without_mingle=True,  # workers share nothing but the broker
            without_gossip=True,
        )
        worker.start()
        return int(worker.exitcode or 0)


@signals.worker_process_init.connect
def _end_with_the_parent(**_: object) -> None:
    if sys.platform == "linux":  # elsewhere the child ends when it finds its pipe closed, after its task
        set_pdeathsig(signal.SIGKILL)
