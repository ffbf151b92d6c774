"""The Celery application: two kinds of queues, JSON only, and nothing lost when a worker dies.

A message is acknowledged after its task has ended. What a killed worker held comes back by its
lease (`leases.py`); the broker's visibility timeout is only the last net.
"""

from typing import Any
from urllib.parse import urlsplit

from celery import Celery

from circuitbase.settings import Settings
from circuitbase.workers.priorities import SEPARATOR, STEPS
from circuitbase.workers.worker_options import WorkerOptions

TRACE_QUEUE = "trace"  # with a suffix for what a job needs loaded (`routing.py`)
INGEST_QUEUE = "ingest"
QUEUES = (TRACE_QUEUE, INGEST_QUEUE)

TRACE_TASK = "circuitbase.trace_prompt"
STORE_TASK = "circuitbase.store_trace"
ROLL_UP_TASK = "circuitbase.roll_up"

VISIBILITY_SECONDS = 6 * 3600  # longer than the longest job


def application(settings: Settings, *, options: WorkerOptions | None = None) -> Celery:
    """Returns the application on the settings' Redis; a worker of it keeps to `options`."""
    app = Celery("circuitbase", set_as_current=False)
    app.conf.update(configuration(settings.redis_connection()))
    if options is not None:
        app.conf.update(options.configuration)
    return app


def configuration(broker_url: str) -> dict[str, Any]:
    """Returns the Celery settings that the promises above rest on."""
    return {
        "broker_url": verified(broker_url),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # a worker waits for its broker as long as it takes
        "broker_connection_timeout": 5,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_SECONDS,
            "priority_steps": list(STEPS),
            "sep": SEPARATOR,
            "queue_order_strategy": "circuitbase.workers.queue_order:StayWithModel",
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
        },
        "task_publish_retry": False,  # the task or the command that publishes says what it does instead
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_timeout": False,  # a process that is killed for its time has died like any other
        "task_default_queue": TRACE_QUEUE,
        "task_queues": None,
        "task_create_missing_queues": True,
        "worker_prefetch_multiplier": 1,
        "worker_concurrency": 1,
        "worker_pool_start_method": "spawn",  # a forked child could neither use CUDA nor live beside threads
        "worker_proc_alive_timeout": 120,  # seconds for a child to import what it needs on a busy machine
        "worker_redirect_stdouts": False,
        "worker_send_task_events": False,
        "include": ["circuitbase.workers.tasks", "circuitbase.workers.worker_log", "circuitbase.workers.measured"],
    }


def verified(broker_url: str) -> str:
    """Returns the URL with the certificate to be verified over TLS, unless it says itself what is required.

    Celery verifies nothing by default, where the Redis client does.
    """
    parts = urlsplit(broker_url)
    if parts.scheme != "rediss" or "ssl_cert_reqs=" in parts.query:
        return broker_url
    return parts._replace(query="&".join(filter(None, (parts.query, "ssl_cert_reqs=required")))).geturl()
