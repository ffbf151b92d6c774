"""The address at which one worker answers Prometheus: what its child counted, and the queues as they are now."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from circuitbase.errors import ServiceError
from circuitbase.workers.application import QUEUES
from circuitbase.workers.connection import LOST
from circuitbase.workers.jobs import ACTIVE, LEASES
from circuitbase.workers.measured import CLIENT_VARIABLE, FOLDER_VARIABLE
from circuitbase.workers.routing import queue_length


@contextmanager
def endpoint(address: tuple[str, int], client: redis.Redis) -> Iterator[None]:
    """Answers Prometheus at (address, port) inside the block; raises ServiceError if the port is taken.

    To be entered before the worker's child starts, which inherits the folder to count in.
    """
    host, port = address
    folder = tempfile.mkdtemp(prefix="circuitbase-metrics-")
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)
    registry.register(Queues(client))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        shutil.rmtree(folder)
        raise ServiceError(
            f"metrics cannot be served at {host}:{port} ({error.strerror or error}); give another `--metrics` port"
        ) from error
    os.environ |= {FOLDER_VARIABLE: folder, CLIENT_VARIABLE: folder}
    try:
        yield
    finally:
        del os.environ[FOLDER_VARIABLE], os.environ[CLIENT_VARIABLE]
        server.shutdown()
        server.server_close()
        thread.join()
        shutil.rmtree(folder, ignore_errors=True)


class Queues(Collector):
    """How long the queues are when asked; nothing while Redis is away."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yields the messages of each queue, and how many jobs are under way and leased."""
        waiting = GaugeMetricFamily("circuitbase_queue_length", "Messages that wait in a queue.", labels=["queue"])
        up = GaugeMetricFamily("circuitbase_redis_up", "Whether Redis answered this worker.")
        try:
            for queue in QUEUES:
                waiting.add_metric([queue], float(queue_length(self._client, queue)))
            active, leased = float(self._client.scard(ACTIVE)), float(self._client.zcard(LEASES))
        except LOST:
            up.add_metric([], 0.0)
            yield up
            return
        up.add_metric([], 1.0)
        yield up
        yield waiting
        yield GaugeMetricFamily("circuitbase_jobs_unfinished", "Jobs that are not at their end.", value=active)
        yield GaugeMetricFamily("circuitbase_jobs_leased", "Jobs that a worker holds.", value=leased)
