"""`jobs retry`, `jobs cancel` and `jobs dead`: what to do about jobs, and what went wrong with them."""

from typing import TYPE_CHECKING

import click

from circuitbase.cli.job_rows import input_text
from circuitbase.cli.output import output_options, show_rows
from circuitbase.errors import InputError
from circuitbase.settings import load_settings

if TYPE_CHECKING:
    import redis

    from circuitbase.workers.jobs import JobState

RETRIED_STATES = ("failed", "dead", "cancelled")
DEAD_COLUMNS = ("trace", "state", "sets", "model", "prompt", "attempts", "error")


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--set", "prompt_set", metavar="NAME", help="The jobs of this prompt set.")
@click.option(
    "--state",
    "states",
    type=click.Choice(RETRIED_STATES),
    multiple=True,
    help="The jobs in this state (again for more); of a --set without it, those that failed or are dead.",
)
@output_options
def retry(ids: tuple[str, ...], prompt_set: str | None, states: tuple[str, ...], output: str | None) -> None:
    """Queue jobs again that failed, died or were cancelled, with their attempts counted anew.

    An ID is a trace id or its beginning. What was traced before is not traced again.

    \b
    Examples:
      circuitbase jobs retry --set capitals
      circuitbase jobs retry --state dead
      circuitbase jobs retry 3f9a52c0
    """
    from circuitbase.workers import job_control
    from circuitbase.workers.application import application
    from circuitbase.workers.connection import open_redis
    from circuitbase.workers.jobs import JobState

    check_named(ids, filtered=prompt_set is not None or bool(states))
    settings = load_settings()
    wanted = tuple(JobState(state) for state in states) or (JobState.FAILED, JobState.DEAD)
    with open_redis(settings) as client, application(settings) as app:
        chosen = chosen_jobs(client, ids, prompt_set=prompt_set, states=wanted)
        if ids:
            job_control.check_retryable(client, chosen)
        done = job_control.retry(client, app, chosen)
    show_rows([{"queued_again": done}], output=output)


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--set", "prompt_set", metavar="NAME", help="The jobs of this prompt set that are under way.")
@click.option("--yes", is_flag=True, help="Do not ask before cancelling more than one.")
@output_options
def cancel(ids: tuple[str, ...], prompt_set: str | None, yes: bool, output: str | None) -> None:
    """Take jobs out of the queue for good; `jobs retry` or submitting them again puts them back.

    An ID is a trace id or its beginning. A trace that is being computed is finished by its worker, but not
    stored; a job that is being stored is too late to be cancelled.

    \b
    Examples:
      circuitbase jobs cancel --set capitals
      circuitbase jobs cancel 3f9a52c0
    """
    from circuitbase.workers import job_control
    from circuitbase.workers.connection import open_redis
    from circuitbase.workers.jobs import FINAL, JobState

    check_named(ids, filtered=prompt_set is not None)
    under_way = tuple(state for state in JobState if state not in FINAL)
    with open_redis(load_settings()) as client:
        chosen = chosen_jobs(client, ids, prompt_set=prompt_set, states=under_way)
        if len(chosen) > 1 and not yes:
            click.confirm(f"Cancel {len(chosen)} jobs?", abort=True, err=True)
        done = job_control.cancel(client, chosen)
    row = {
        "cancelled": done.cancelled,
        "being_traced": done.being_traced,
        "being_stored": done.being_stored,
        "ended_before": done.ended,
    }
    show_rows([row], output=output)
    if done.being_traced:
        click.echo(f"{done.being_traced} being traced: the worker finishes the trace, and nobody stores it", err=True)
    if done.being_stored:
        click.echo(f"{done.being_stored} being stored: too late to be cancelled", err=True)


@click.command()
@click.option("--set", "prompt_set", metavar="NAME", help="Only jobs of this prompt set.")
@click.option("--limit", type=click.IntRange(min=1), help="Only this many, those queued last.")
@output_options
def dead(prompt_set: str | None, limit: int | None, output: str | None) -> None:
    """List the jobs that are dead or failed, each with its input and what went wrong.

    A job is dead when its process died three times; it has failed when it raised an error that no later
    attempt can avoid.

    \b
    Example:
      circuitbase jobs dead --set capitals
    """
    from circuitbase.workers import jobs
    from circuitbase.workers.connection import open_redis

    states = (jobs.JobState.DEAD, jobs.JobState.FAILED)
    with open_redis(load_settings()) as client:
        found = list(jobs.listed(client, prompt_set=prompt_set, states=states))
    rows = [
        {
            "trace": job.trace_id,
            "state": job.state.value,
            "sets": list(job.prompt_sets),
            "model": job.request.model,
            "prompt": input_text(job),
            "attempts": job.attempts,
            "error": job.error,
        }
        for job in found[-(limit or 0) :]
    ]
    show_rows(rows, output=output, columns=DEAD_COLUMNS)


def check_named(ids: tuple[str, ...], *, filtered: bool) -> None:
    """Raises InputError unless jobs are named in one of the two ways."""
    if bool(ids) == filtered:
        found = "both" if ids else "neither"
        raise InputError(f"jobs should be named either by their ids or by a filter such as --set NAME, got {found}")


def chosen_jobs(
    client: "redis.Redis", ids: tuple[str, ...], *, prompt_set: str | None, states: "tuple[JobState, ...]"
) -> list[str]:
    """Returns the trace ids that ids or their beginnings name, or those of a set and of some states."""
    from circuitbase.workers import job_control

    if ids:
        return job_control.named_jobs(client, ids)
    return job_control.jobs_in(client, prompt_set=prompt_set, states=states)
