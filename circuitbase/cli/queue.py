"""`worker`: who works on the queue."""

import re
import sys

import click

from circuitbase.settings import load_settings

QUEUES = ("trace", "ingest")


def named_queues(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Returns the queues named by commas; raises BadParameter for an unknown one."""
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    unknown = [name for name in names if name not in QUEUES]
    if unknown or not names:
        raise click.BadParameter(f"should name queues out of {', '.join(QUEUES)}, got {value!r}")
    return names


def device_name(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    """Returns a device as torch names it; raises BadParameter for another name."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        raise click.BadParameter(f"should be auto, cpu, cuda or cuda:NUMBER, got {value!r}")
    return value


@click.command()
@click.option(
    "--queues", default="trace,ingest", show_default=True, callback=named_queues, help="What to work on, by commas."
)
@click.option("--device", default="auto", show_default=True, callback=device_name, help="auto, cpu, cuda, cuda:1.")
def worker(queues: tuple[str, ...], device: str) -> None:
    """Run a worker until Ctrl+C or SIGTERM, then finish the job at hand.

    The trace queue needs the model's packages and may use a GPU; the ingest queue writes to Neo4j. Models and
    dictionaries stay loaded between jobs, up to CIRCUITBASE_MODEL_MEMORY (such as 8GB), by default half of the
    device's memory.

    \b
    Example:
      circuitbase worker --queues trace --device cuda:0
    """
    from circuitbase.services import check_neo4j, check_redis
    from circuitbase.workers.worker import run_worker

    settings = load_settings()
    check_redis(settings)
    if "ingest" in queues:
        check_neo4j(settings)
    if device not in ("auto", "cpu"):
        from circuitbase.tracing.models import checked_device

        checked_device(device)  # here, or every job would fail for it
    sys.exit(run_worker(settings, queues=queues, device=device))
