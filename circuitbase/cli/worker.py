"""`worker`: who works on the queue."""

import re
import sys

import click
from pydantic import ByteSize, TypeAdapter, ValidationError

from circuitbase.cli.models import resolve_model
from circuitbase.cli.queues import QUEUES
from circuitbase.settings import LONGEST_JOB_SECONDS, load_settings

LOOPBACK = "127.0.0.1"


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


def byte_size(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Returns a number of bytes as people write it; raises BadParameter for another text."""
    if value is None:
        return None
    try:
        return int(TypeAdapter(ByteSize).validate_python(value))
    except ValidationError as error:
        raise click.BadParameter(f"should be a size such as 16GB, got {value!r}") from error


def address_and_port(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, int] | None:
    """Returns (address, port), the address 127.0.0.1 unless given; raises BadParameter for another text."""
    if value is None:
        return None
    address, _, port = value.rpartition(":")
    if not re.fullmatch(r"\d{1,5}", port) or int(port) > 65535:
        raise click.BadParameter(f"should be PORT or ADDRESS:PORT, got {value!r}")
    return address.strip("[]") or LOOPBACK, int(port)


@click.command()
@click.option(
    "--queues", default="trace,ingest", show_default=True, callback=named_queues, help="What to work on, by commas."
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Take the trace jobs of this model alone: a folder, a hub id, or the name of a packaged one; can be repeated.",
)
@click.option("--device", default="auto", show_default=True, callback=device_name, help="auto, cpu, cuda, cuda:1.")
@click.option(
    "--time-limit",
    type=click.IntRange(min=1, max=LONGEST_JOB_SECONDS),
    metavar="SECONDS",
    help="How long a job may take, by default CIRCUITBASE_TIME_LIMIT or an hour.",
)
@click.option(
    "--max-memory",
    metavar="SIZE",
    callback=byte_size,
    help="Replace the child after a job when it takes more than SIZE (such as 16GB); by default "
    "CIRCUITBASE_WORKER_MEMORY, or never.",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), help="By default CIRCUITBASE_LOG_FORMAT, or text.")
@click.option(
    "--metrics",
    metavar="[ADDRESS:]PORT",
    callback=address_and_port,
    help="Answer Prometheus at this port, of 127.0.0.1 unless ADDRESS is given.",
)
def worker(
    queues: tuple[str, ...],
    models: tuple[str, ...],
    device: str,
    time_limit: int | None,
    max_memory: int | None,
    log_format: str | None,
    metrics: tuple[str, int] | None,
) -> None:
    """Run a worker until Ctrl+C or SIGTERM, then finish the job at hand.

    SIGQUIT or a second Ctrl+C hands the job back to the queue instead. The trace queue needs the model's
    packages and may use a GPU; the ingest queue writes to Neo4j. Models and dictionaries stay loaded between
    jobs, up to CIRCUITBASE_MODEL_MEMORY (such as 8GB), by default half of the device's memory; a worker stays
    with a model for up to ten minutes while there are jobs of it, unless others have a higher priority. A job that
    takes longer than the time limit fails with a sentence; if it does not end within another tenth of
    it, its process is killed, which counts as a death.

    \b
    Examples:
      circuitbase worker --queues trace --device cuda:0
      circuitbase worker --time-limit 600 --max-memory 16GB --log-format json --metrics 9100
    """
    from circuitbase.services import check_neo4j, check_redis
    from circuitbase.workers.places import absolute
    from circuitbase.workers.worker import run_worker
    from circuitbase.workers.worker_options import worker_options

    settings = load_settings()
    check_redis(settings)
    if "ingest" in queues:
        check_neo4j(settings)
    if device not in ("auto", "cpu"):
        from circuitbase.tracing.models import checked_device

        checked_device(device)  # here, or every job would fail for it
    options = worker_options(
        settings,
        queues=queues,
        device=device,
        time_limit=time_limit,
        memory_limit=max_memory,
        log_format=log_format,  # type: ignore[arg-type]
        metrics=metrics,
        models=tuple(absolute(resolve_model(model)) for model in models),
    )
    sys.exit(run_worker(settings, options))
