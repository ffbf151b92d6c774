"""One worker: a parent process that talks to the broker, and one child that computes."""

import logging
import os
import platform
import signal
import sys
from contextlib import ExitStack

from billiard.util import set_pdeathsig
from celery import signals
from celery.worker.request import Request

from circuitbase.settings import Settings
from circuitbase.workers.application import application
from circuitbase.workers.connection import LOST, redis_client
from circuitbase.workers.following_queues import first_queues
from circuitbase.workers.handing_back import hand_back
from circuitbase.workers.leases import Held
from circuitbase.workers.upkeep import Holding, upkeep
from circuitbase.workers.worker_log import set_up_log
from circuitbase.workers.worker_options import WorkerOptions

log = logging.getLogger(__name__)


def run_worker(settings: Settings, options: WorkerOptions) -> int:
    """Runs until SIGTERM or Ctrl+C, finishing the job at hand; returns the exit code.

    SIGQUIT or a second Ctrl+C hands the job back instead of finishing it.
    """
    set_up_log(options.log_format, settings=settings)
    app = application(settings, options=options)
    holding = Holding()

    @signals.task_received.connect
    def note(request: Request, **_: object) -> None:
        holding.receive(Held(trace_id=request.id, task=request.name))

    @signals.worker_shutting_down.connect
    def hand_back_at_once(how: str, **_: object) -> None:
        # the child has been ended, and the broker gets the messages back after this
        if how == "Cold":
            try:
                with redis_client(settings.redis_connection()) as own:
                    hand_back(own, holding.lately())
            except LOST as error:
                log.warning("Redis is away, the jobs at hand come back by their leases: %s", error)

    with ExitStack() as stack:
        client = stack.enter_context(redis_client(settings.redis_connection()))
        if options.metrics is not None:
            from circuitbase.workers.metrics import endpoint

            stack.enter_context(endpoint(options.metrics, client))
        name = f"{'-'.join(options.queues)}-{os.getpid()}@{platform.node()}"
        stack.enter_context(upkeep(app, client, options=options, name=name, holding=holding))
        worker = app.Worker(
            hostname=name,
            pool="prefork",
            queues=first_queues(client, options),
            loglevel="INFO",
            without_mingle=True,  # workers share nothing but the broker
            without_gossip=True,
            quiet=options.log_format == "json",  # no banner before the first line
        )
        os.environ.pop("_MP_FORK_LOGLEVEL_", None)  # or the child would log in a third format until its own is set
        worker.start()
        return int(worker.exitcode or 0)


@signals.worker_process_init.connect
def _end_with_the_parent(**_: object) -> None:
    if sys.platform == "linux":  # elsewhere the child ends when it finds its pipe closed, after its task
        set_pdeathsig(signal.SIGKILL)
