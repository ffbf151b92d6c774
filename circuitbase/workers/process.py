"""What one worker process keeps between tasks: connections, the store, and the last few models."""

from collections import OrderedDict
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

if TYPE_CHECKING:
    import redis
    from neo4j import Driver

    from circuitbase.graph.trace import Trace
    from circuitbase.tracing.dictionaries import Dictionary
    from circuitbase.tracing.models import TracedModel
    from circuitbase.workers.jobs import JobRequest

MODELS_KEPT = 2


@dataclass(frozen=True)
class Tracer:
    """A model with a dictionary, loaded."""

    model: "TracedModel"
    dictionary: "Dictionary"


class WorkerProcess:
    """The resources of one process; each is opened when it is first needed."""

    def __init__(self, settings: Settings, *, device: str) -> None:
        self.settings = settings
        self.device = device
        self._tracers: OrderedDict[tuple[str, ...], Tracer] = OrderedDict()

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

    def trace(self, request: "JobRequest", *, trace_id: str) -> "Trace":
        """Computes a job's trace; raises ModelError if it is no longer the trace that was asked for."""
        from circuitbase.tracing.attribution import trace

        tracer = self._tracer(request)
        found = trace(tracer.model, tracer.dictionary, request.prompt, request.options, roles=request.roles)
        if found.metadata.trace_id != trace_id:
            raise ModelError(
                f"{request.model} or {request.dictionary} changed after the job was submitted "
                f"(its trace is now {found.metadata.trace_id[:12]}, not {trace_id[:12]}); submit the prompt again"
            )
        return found

    def close(self) -> None:
        """Closes the connections."""
        for name in ("driver", "redis"):
            if name in self.__dict__:
                getattr(self, name).close()

    def _tracer(self, request: "JobRequest") -> Tracer:
        import torch

        from circuitbase.tracing.dictionaries import load_dictionary
        from circuitbase.tracing.models import load_model

        model_identity = read_model_identity(request.model)
        dictionary_identity = read_dictionary_identity(request.dictionary, model=model_identity)
        key = (request.model, request.dictionary, dictionary_identity.id, model_identity.digest, request.options.dtype)
        if key not in self._tracers:
            torch.set_num_threads(1)  # sums in another order would give the file other bytes
            device = self._torch_device()
            model = load_model(request.model, dtype=request.options.dtype, device=device)
            dictionary = load_dictionary(request.dictionary, model=model, dtype=request.options.dtype, device=device)
            self._tracers[key] = Tracer(model, dictionary)
            while len(self._tracers) > MODELS_KEPT:
                self._tracers.popitem(last=False)
        self._tracers.move_to_end(key)
        return self._tracers[key]

    def _torch_device(self) -> str:
        import torch

        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "cpu"


@cache
def this_process() -> WorkerProcess:
    """Returns the resources of the process that runs tasks."""
    return WorkerProcess(load_settings(), device=current_app.conf.circuitbase_device)


@signals.worker_process_shutdown.connect
def _close_connections(**_: object) -> None:
    if this_process.cache_info().currsize:
        this_process().close()
