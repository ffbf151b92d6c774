"""`jobs`: what is in the queue."""

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.settings import load_settings

if TYPE_CHECKING:
    from circuitbase.workers.jobs import Job

QUEUES = ("trace", "ingest")
STATES = ("queued", "tracing", "traced", "storing", "stored", "failed")
JOB_COLUMNS = ("trace", "state", "sets", "prompt", "attempts", "queued_at", "changed_at", "error")
BRIEF_COLUMNS = ("trace", "state", "sets", "prompt", "error")
PROMPT_WIDTH = 48


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
        wanted = records.JobState(state) if state else None
        found = list(records.listed(client, prompt_set=prompt_set, state=wanted))
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
