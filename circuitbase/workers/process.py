"""What one worker process keeps between tasks: connections, the store, and models with dictionaries."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

from celery import current_app, signals

from circuitbase.errors import ModelError
from circuitbase.ingest.connection import open_driver
from circuitbase.settings import Settings, load_settings
from circuitbase.store.trace_store import TraceStore
from circuitbase.tracing.identities import read_dictionary_identity, read_model_identity
from circuitbase.workers.connection import redis_client
from circuitbase.workers.kept_in_memory import KeptInMemory, device_memory, readable
from circuitbase.workers.worker_log import about

if TYPE_CHECKING:
    import redis
    from neo4j import Driver

    from circuitbase.graph.trace import Trace
    from circuitbase.tracing.dictionaries import Dictionary
    from circuitbase.tracing.models import TracedModel
    from circuitbase.workers.job_request import JobRequest

MEMORY_SHARE = 0.5  # of the device's memory, unless the settings say how much; the rest is for tracing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tracer:
    """A model with a dictionary, loaded."""

    model: "TracedModel"
    dictionary: "Dictionary | None"


class WorkerProcess:
    """The resources of one process; each is opened when it is first needed."""

    def __init__(self, settings: Settings, *, device: str, worker: str = "") -> None:
        self.settings = settings
        self.device = device
        self.worker = worker  # the name under which its parent holds leases

    @cached_property
    def redis(self) -> "redis.Redis":
        """Returns the client for job records."""
        return redis_client(self.settings.redis_connection())

    @cached_property
    def driver(self) -> "Driver":
        """Returns the driver of the database; raises ServiceError while it cannot be reached."""
        return open_driver(self.settings)

    @cached_property
    def store(self) -> TraceStore:
        """Returns the store of trace files."""
        return TraceStore(self.settings.store_url)

    @cached_property
    def kept(self) -> KeptInMemory:
        """Returns the models and dictionaries that are loaded."""
        budget: int | None = self.settings.model_memory
        if budget is None:
            budget = int(MEMORY_SHARE * device_memory(self.torch_device))
        log.info("models and dictionaries may take %s on %s", readable(budget), self.torch_device)
        return KeptInMemory(budget)

    @cached_property
    def torch_device(self) -> str:
        """Returns the device that this process computes on, as torch names it."""
        import torch

        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    def trace(self, request: "JobRequest", *, trace_id: str) -> "Trace":
        """Computes a job's trace; raises ModelError if it is no longer the trace that was asked for."""
        with self._tracer(request) as tracer:
            found = self._traced(tracer, request)
        if found.metadata.trace_id != trace_id:
            places = " or ".join(place for place in (request.model, request.dictionary) if place)
            raise ModelError(
                f"{places} changed after the job was submitted "
                f"(its trace is now {found.metadata.trace_id[:12]}, not {trace_id[:12]}); submit the prompt again"
            )
        return found

    def _traced(self, tracer: Tracer, request: "JobRequest") -> "Trace":
        """Returns the trace; a device without the memory for it gets a second try, with nothing else loaded."""
        from torch.cuda import OutOfMemoryError

        try:
            return _trace(tracer, request)
        except ModelError as error:
            if not isinstance(error.__cause__, OutOfMemoryError) or not self.kept.drop_unused():
                raise
            log.warning("dropping what no job uses, for %s", error)
        return _trace(tracer, request)

    def close(self) -> None:
        """Closes the connections."""
        for name in ("driver", "redis"):
            if name in self.__dict__:
                getattr(self, name).close()

    @contextmanager
    def _tracer(self, request: "JobRequest") -> Iterator[Tracer]:
        """Yields a job's model and dictionary, loaded now or before; neither is dropped inside the block."""
        import torch

        from circuitbase.tracing.dictionaries import load_dictionary
        from circuitbase.tracing.models import load_model

        torch.set_num_threads(1)  # sums in another order would give the file other bytes
        model_identity = read_model_identity(request.model)
        about(model=model_identity.id)
        any_name, dtype, place = request.any_model_name, request.options.dtype, request.dictionary
        model_key = (request.model, model_identity.digest, dtype)
        with self.kept.using(
            model_key,
            lambda: load_model(request.model, dtype=dtype, device=self.torch_device),
            what=f"the model {model_identity.id}",
        ) as model:
            if place is None:
                yield Tracer(model, None)
                return
            dictionary_identity = read_dictionary_identity(place, model=model_identity, any_model_name=any_name)
            with self.kept.using(
                (place, dictionary_identity.id, dtype),
                lambda: load_dictionary(place, model=model, dtype=dtype, device=model.device, any_model_name=any_name),
                what=f"the dictionary {dictionary_identity.id}",
            ) as dictionary:
                yield Tracer(model, dictionary)


def _trace(tracer: Tracer, request: "JobRequest") -> "Trace":
    """Returns the trace of features or of components that a job asks for."""
    from circuitbase.tracing.attribution import trace
    from circuitbase.tracing.components.component_options import ComponentOptions
    from circuitbase.tracing.components.component_trace import trace_components

    if isinstance(request.options, ComponentOptions):
        return trace_components(tracer.model, request.prompt, request.options, roles=request.roles)
    assert tracer.dictionary is not None
    return trace(tracer.model, tracer.dictionary, request.prompt, request.options, roles=request.roles)


@cache
def this_process() -> WorkerProcess:
    """Returns the resources of the process that runs tasks."""
    conf = current_app.conf
    return WorkerProcess(load_settings(), device=conf.circuitbase_device, worker=conf.circuitbase_worker)


@signals.worker_process_shutdown.connect
def _close_connections(**_: object) -> None:
    if this_process.cache_info().currsize:
        this_process().close()
