"""What one worker works on, where, and within which limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from circuitbase.settings import Settings
from circuitbase.workers.presence import worker_name

LogFormat = Literal["text", "json"]

LEAST_GRACE_SECONDS = 5
GRACE_SHARE = 10  # a tenth of the time limit, between asking a job to end and killing its process


@dataclass(frozen=True)
class WorkerOptions:
    """Options of one worker; `time_limit` in seconds, `memory_limit` in bytes of its child (None: none).

    `metrics` is the address and the port that Prometheus scrapes, None for none. `models` are those whose trace
    jobs it takes, as jobs name them; none means all.
    """

    queues: Sequence[str]
    device: str = "auto"
    time_limit: int = 3600
    memory_limit: int | None = None
    log_format: LogFormat = "text"
    metrics: tuple[str, int] | None = None
    models: tuple[str, ...] = ()

    @property
    def kill_after(self) -> int:
        """Returns the seconds after which the process of a job is killed that did not end when asked."""
        return self.time_limit + max(LEAST_GRACE_SECONDS, self.time_limit // GRACE_SHARE)

    @property
    def configuration(self) -> dict[str, Any]:
        """Returns the Celery settings that hold a worker to these options; its child is sent them too."""
        return {
            "circuitbase_device": self.device,
            "circuitbase_worker": worker_name(),
            "circuitbase_log_format": self.log_format,
            "task_soft_time_limit": self.time_limit,
            "task_time_limit": self.kill_after,
            "worker_max_memory_per_child": None if self.memory_limit is None else max(1, self.memory_limit // 1024),
        }


def worker_options(
    settings: Settings,
    *,
    queues: Sequence[str],
    device: str = "auto",
    time_limit: int | None = None,
    memory_limit: int | None = None,
    log_format: LogFormat | None = None,
    metrics: tuple[str, int] | None = None,
    models: tuple[str, ...] = (),
) -> WorkerOptions:
    """Returns the options given, completed from the settings."""
    limit: int | None = settings.worker_memory
    return WorkerOptions(
        queues=queues,
        device=device,
        time_limit=settings.time_limit if time_limit is None else time_limit,
        memory_limit=limit if memory_limit is None else memory_limit,
        log_format=settings.log_format if log_format is None else log_format,
        metrics=metrics,
        models=models,
    )
