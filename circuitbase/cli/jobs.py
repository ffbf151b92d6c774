"""`jobs`: what is in the queue and what became of it; its subcommands do something about it."""

from collections import Counter

import click

from circuitbase.cli.job_control import cancel, dead, retry
from circuitbase.cli.job_rows import job_row
from circuitbase.cli.job_watch import watch_jobs
from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.errors import InputError
from circuitbase.settings import load_settings

STATES = ("queued", "tracing", "traced", "storing", "stored", "failed", "dead", "cancelled")
JOB_COLUMNS = (
    "trace",
    "state",
    "sets",
    "prompt",
    "model",
    "priority",
    "attempts",
    "queued_at",
    "changed_at",
    "error",
)
BRIEF_COLUMNS = ("trace", "state", "sets", "prompt", "error")


@click.group(invoke_without_command=True)
@click.option("--set", "prompt_set", metavar="NAME", help="Only jobs of this prompt set.")
@click.option(
    "--state", "states", type=click.Choice(STATES), multiple=True, help="Only jobs in this state (again for more)."
)
@click.option("--model", metavar="TEXT", help="Only jobs whose model's name or folder contains this.")
@click.option("--limit", type=click.IntRange(min=1), help="Only this many, those queued last.")
@click.option("--watch", is_flag=True, help="Show counts, rate and workers until nothing is under way.")
@output_options
@click.pass_context
def jobs(
    ctx: click.Context,
    prompt_set: str | None,
    states: tuple[str, ...],
    model: str | None,
    limit: int | None,
    watch: bool,
    output: str | None,
) -> None:
    """List jobs in the order they were queued, with the reason where one failed or waits.

    \b
    Examples:
      circuitbase jobs --set capitals --state failed --state dead
      circuitbase jobs --watch
    """
    filtered = bool(states or model or limit or output)
    if ctx.invoked_subcommand is not None:
        if filtered or prompt_set or watch:
            raise InputError(
                f"options of `jobs {ctx.invoked_subcommand}` stand behind it, as in "
                f"`circuitbase jobs {ctx.invoked_subcommand} --set NAME`; move them there"
            )
        return
    if watch:
        if filtered:
            raise InputError("--watch counts the jobs of all states and models, so only --set goes with it")
        watch_jobs(load_settings(), prompt_set=prompt_set)
        return
    list_jobs(prompt_set=prompt_set, states=states, model=model, limit=limit, output=output)


jobs.add_command(retry)
jobs.add_command(cancel)
jobs.add_command(dead)


def list_jobs(
    *, prompt_set: str | None, states: tuple[str, ...], model: str | None, limit: int | None, output: str | None
) -> None:
    """Prints the jobs that fit as rows, and their counts below a table."""
    from circuitbase.workers import jobs as records
    from circuitbase.workers.connection import open_redis

    wanted = tuple(records.JobState(state) for state in states) or tuple(records.JobState)
    with open_redis(load_settings()) as client:
        found = [
            job
            for job in records.listed(client, prompt_set=prompt_set, states=wanted)
            if model is None or model in job.request.model
        ]
    brief = chosen_format(output) == "table"
    show_rows(
        [job_row(job, brief=brief) for job in found[-(limit or 0) :]],
        output=output,
        columns=BRIEF_COLUMNS if brief else JOB_COLUMNS,
    )
    if brief:
        counts = Counter(job.state.value for job in found)
        click.echo(", ".join(f"{counts[name]} {name}" for name in STATES if counts[name]) or "no jobs")
