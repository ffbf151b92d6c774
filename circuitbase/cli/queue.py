"""`submit`, `worker` and `jobs`: the queue."""

import re
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.job_bars import job_bars, queueing_bar
from circuitbase.cli.models import resolve_dictionary, resolve_model
from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.settings import Settings, load_settings

if TYPE_CHECKING:
    from circuitbase.workers.intake import AskedTarget
    from circuitbase.workers.jobs import Job
    from circuitbase.workers.submission import Submission

QUEUES = ("trace", "ingest")
STATES = ("queued", "tracing", "traced", "storing", "stored", "failed")
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
@click.argument("prompts")
@click.option("--model", required=True, help="Model: a folder, a hub id, or the name of a packaged one.")
@click.option("--dictionary", required=True, help="Dictionary: a folder, a hub id, or the name of a packaged model.")
@click.option("--set", "prompt_set", required=True, metavar="NAME", help="Prompt set to put the prompts into.")
@click.option(
    "--target",
    type=click.Choice(("auto", "probable", "roles")),
    default="auto",
    show_default=True,
    help="Where traces end: in the most probable tokens, or in one output, the logit of the answer minus that of the "
    "distractor. auto is roles if every prompt has an answer (and all or none a distractor), else probable.",
)
@click.option("--wait", is_flag=True, help="Wait until all are stored; exit with 1 if one failed.")
@click.option("--dry-run", is_flag=True, help="Say what would be queued, and write nothing.")
@click.option("--skip-bad", is_flag=True, help="Leave out bad lines instead of queueing nothing.")
@output_options
def submit(
    prompts: str,
    model: str,
    dictionary: str,
    prompt_set: str,
    target: "AskedTarget",
    wait: bool,
    dry_run: bool,
    skip_bad: bool,
    output: str | None,
) -> None:
    """Queue the tracing of PROMPTS: a .jsonl, .csv or .txt file, a text, or - for standard input.

    What is stored or queued already is not queued again.

    \b
    Example:
      circuitbase submit capitals.jsonl --model atlas --dictionary atlas --set capitals --wait
    """
    from circuitbase.store.prompt_file import read_prompts
    from circuitbase.workers import submission

    settings = load_settings()
    asked = submission.Asked(
        model=resolve_model(model), dictionary=resolve_dictionary(dictionary), prompt_set=prompt_set, target=target
    )
    with queueing_bar() as progress:
        found = submission.submit(
            read_prompts(prompts, standard_input=sys.stdin.buffer),
            source="standard input" if prompts == "-" else prompts,
            asked=asked,
            settings=settings,
            skip_bad=skip_bad,
            dry_run=dry_run,
            progress=progress,
        )
    for number, problem in found.bad:
        click.echo(f"left out line {number}: {problem}", err=True)
    show_rows([submission_row(found, dry_run=dry_run)], output=output)
    if wait and not dry_run and not await_jobs(settings, found):
        sys.exit(1)


def submission_row(found: "Submission", *, dry_run: bool) -> dict[str, Any]:
    """Returns what became of the prompts, as one row."""
    return {
        "set": found.prompt_set,
        "target": found.target,
        "would_queue" if dry_run else "queued": found.new,
        "already_stored": found.already_stored,
        "already_queued": found.already_queued,
        "repeated": found.repeated,
        "bad": len(found.bad),
        "tokens": found.tokens,
    }


def await_jobs(settings: Settings, found: "Submission") -> bool:
    """Waits for the jobs of a submission, showing bars; returns whether all are stored.

    Says why on standard error for those that failed.
    """
    from circuitbase.workers import following, jobs
    from circuitbase.workers.application import application
    from circuitbase.workers.connection import open_redis
    from circuitbase.workers.presence import unserved

    waiting = found.under_way
    with open_redis(settings) as client, job_bars(len(waiting)) as show:
        idle = unserved(client, QUEUES) if waiting else []
        if idle:
            click.echo(f"no worker takes jobs from the queue {' and '.join(idle)}: run `circuitbase worker`", err=True)
        for progress in following.follow(client, application(settings), waiting):
            show(progress)
        for job in jobs.read(client, waiting):
            if job.state == jobs.JobState.FAILED:
                click.echo(f"trace {job.trace_id[:12]} failed: {job.error}", err=True)
    if progress.gone:
        click.echo(f"{progress.gone} jobs have no record any more; submit the prompts again", err=True)
    return progress.all_stored


@click.command()
@click.option(
    "--queues", default="trace,ingest", show_default=True, callback=named_queues, help="What to work on, by commas."
)
@click.option("--device", default="auto", show_default=True, callback=device_name, help="auto, cpu, cuda, cuda:1.")
def worker(queues: tuple[str, ...], device: str) -> None:
    """Run a worker until Ctrl+C or SIGTERM, then finish the job at hand.

    The trace queue needs the model's packages and may use a GPU; the ingest queue writes to Neo4j.

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
