"""`worker` and `jobs`: who works on the queue, and what is in it."""

import re
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.settings import load_settings

if TYPE_CHECKING:
    from circuitbase.workers.jobs import Job

QUEUES = ("trace", "ingest")
STATES = ("queued", "tracing", "traced", "storing", "stored", "failed", "dead", "cancelled")
JOB_COLUMNS = ("trace", "state", "sets", "prompt", "attempts", "queued_at", "changed_at", "error")
BRIEF_COLUMNS = ("trace", "state", "sets", "prompt", "error")
PROMPT_WIDTH = 48


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


@click.command()
@click.option("--set", "prompt_set", metavar="NAME", help="Only jobs of this prompt set.")
@click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
@output_options
def jobs(prompt_set: str | None, state: str | None, output: str | None) -> None:
    """List jobs in the order they were queued, with the reason where one failed or waits.

    \b
    Example:
      circuitbase jobs --set capitals --state failed
    """
    from circuitbase.workers import jobs as records
    from circuitbase.workers.connection import open_redis

    with open_redis(load_settings()) as client:
        states = (records.JobState(state),) if state else tuple(records.JobState)
        found = list(records.listed(client, prompt_set=prompt_set, states=states))
    brief = chosen_format(output) == "table"
    show_rows(
        [job_row(job, brief=brief) for job in found], output=output, columns=BRIEF_COLUMNS if brief else JOB_COLUMNS
    )
    if brief:
        counts = Counter(job.state.value for job in found)
        click.echo(", ".join(f"{counts[name]} {name}" for name in STATES if counts[name]) or "no jobs")


def job_row(job: "Job", *, brief: bool) -> dict[str, Any]:
    """Returns a job as a row; `brief` cuts what is long."""
    prompt = job.request.prompt.text
    text = prompt if prompt is not None else " ".join(job.request.prompt.token_strings)
    if brief and len(text) > PROMPT_WIDTH:
        text = text[: PROMPT_WIDTH - 1] + "…"
    return {
        "trace": job.trace_id[:12] if brief else job.trace_id,
        "state": job.state.value,
        "sets": ", ".join(job.prompt_sets) if brief else list(job.prompt_sets),
        "prompt": text,
        "attempts": job.attempts,
        "queued_at": _time(job.queued_at),
        "changed_at": _time(job.changed_at),
        "error": job.error,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds")
