"""`submit`: prompts into the queue."""

import sys
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.job_bars import job_bars, queueing_bar
from circuitbase.cli.job_watch import duration
from circuitbase.cli.models import resolve_dictionary, resolve_model
from circuitbase.cli.output import output_options, show_rows
from circuitbase.cli.queues import QUEUES
from circuitbase.cli.trace import check_kind
from circuitbase.cli.trace_options import check_limits, trace_options
from circuitbase.settings import Settings, load_settings

if TYPE_CHECKING:
    from circuitbase.tracing.components.component_options import ComponentOptions
    from circuitbase.tracing.options import TraceOptions
    from circuitbase.workers.estimate import Estimate
    from circuitbase.workers.intake import AskedTarget
    from circuitbase.workers.submission import Submission

ENDED = {"failed": "failed", "dead": "is dead", "cancelled": "is cancelled"}


@click.command()
@click.argument("prompts")
@click.option("--model", required=True, help="Model: a folder, a hub id, or the name of a packaged one.")
@click.option("--dictionary", help="Dictionary: a folder, a hub id, or the name of a packaged model.")
@click.option("--set", "prompt_set", required=True, metavar="NAME", help="Prompt set to put the prompts into.")
@click.option(
    "--target",
    type=click.Choice(("auto", "probable", "roles")),
    default="auto",
    show_default=True,
    help="Where traces end: in the most probable tokens, or in one output, the logit of the answer minus that of the "
    "distractor. auto is roles if every prompt has an answer (and all or none a distractor), else probable.",
)
@click.option(
    "--chat", is_flag=True, help="Each prompt is one user's message; the model's chat template is put around it."
)
@trace_options
@click.option("--any-model-name", is_flag=True, help="Take a dictionary that names another model.")
@click.option(
    "--priority",
    type=click.IntRange(0, 9),
    default=5,
    show_default=True,
    help="Jobs of a higher number are begun first. A job that is queued already keeps its own.",
)
@click.option("--wait", is_flag=True, help="Wait until all are stored; exit with 1 if one is not.")
@click.option("--dry-run", is_flag=True, help="Say what would be queued and how long it would take, and write nothing.")
@click.option("--skip-bad", is_flag=True, help="Leave out bad lines instead of queueing nothing.")
@output_options
def submit(  # noqa: PLR0913  # one parameter per option
    prompts: str,
    model: str,
    dictionary: str | None,
    prompt_set: str,
    target: "AskedTarget",
    chat: bool,
    options: "TraceOptions | ComponentOptions",
    any_model_name: bool,
    priority: int,
    wait: bool,
    dry_run: bool,
    skip_bad: bool,
    output: str | None,
) -> None:
    """Queue the tracing of PROMPTS: a .jsonl, .csv or .txt file, a text, or - for standard input.

    What is stored or queued already is not queued again.

    \b
    Examples:
      circuitbase submit capitals.jsonl --model atlas --dictionary atlas --set capitals --wait
      circuitbase submit capitals.jsonl --model atlas --kind components --set capitals --wait
      circuitbase submit chats.jsonl --chat --model ./chat --dictionary ./transcoders --set chats --dtype bfloat16
    """
    from circuitbase.store.prompt_file import read_prompts
    from circuitbase.workers import submission
    from circuitbase.workers.places import absolute

    check_kind(options, dictionary=dictionary, any_model_name=any_model_name)
    if target != "auto":
        check_limits(target)
    settings = load_settings()
    asked = submission.Asked(
        model=resolve_model(model),
        dictionary=None if dictionary is None else resolve_dictionary(dictionary),
        prompt_set=prompt_set,
        target=target,
        options=options,
        chat=chat,
        any_model_name=any_model_name,
        priority=priority,
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
    if found.estimate is not None:
        click.echo(estimate_sentence(found.estimate, tokens=found.new_tokens), err=True)
    if wait and not dry_run and not await_jobs(settings, found, model=absolute(asked.model)):
        sys.exit(1)


def submission_row(found: "Submission", *, dry_run: bool) -> dict[str, Any]:
    """Returns what became of the prompts, as one row; a dry run says also how long tracing them would take."""
    row: dict[str, Any] = {
        "set": found.prompt_set,
        "target": found.target,
        "would_queue" if dry_run else "queued": found.new,
        "already_stored": found.already_stored,
        "already_queued": found.already_queued,
        "repeated": found.repeated,
        "bad": len(found.bad),
        "tokens": found.tokens,
    }
    if found.estimate is not None:
        row |= {
            "past_jobs": found.estimate.past_jobs,
            "seconds_per_token": found.estimate.seconds_per_token,
            "workers": found.estimate.workers,
            "estimated_seconds": found.estimate.seconds(found.new_tokens),
        }
    return row


def estimate_sentence(estimate: "Estimate", *, tokens: int) -> str:
    """Returns how long tracing prompts of so many tokens would take, and how that is known."""
    seconds = estimate.seconds(tokens)
    if seconds is None:
        return "no job of this model and kind was traced before, so the time it would take is not known"
    noun = "job" if estimate.past_jobs == 1 else "jobs"
    workers = {0: "one worker, though none listens now", 1: "the one worker that listens now"}.get(
        estimate.workers, f"the {estimate.workers} workers that listen now"
    )
    return f"tracing would take about {duration(seconds)} with {workers}, by {estimate.past_jobs} past {noun}"


def await_jobs(settings: Settings, found: "Submission", *, model: str) -> bool:
    """Waits for the jobs of a submission of a model, showing bars; returns whether all are stored.

    Says why on standard error for those that are not.
    """
    from circuitbase.workers import following, jobs
    from circuitbase.workers.application import application
    from circuitbase.workers.connection import open_redis
    from circuitbase.workers.presence import unserved

    waiting = found.under_way
    with open_redis(settings) as client, job_bars(len(waiting)) as show:
        idle = unserved(client, QUEUES, model=model) if waiting else []
        if idle:
            click.echo(f"no worker takes jobs from the queue {' and '.join(idle)}: run `circuitbase worker`", err=True)
        for progress in following.follow(client, application(settings), waiting):
            show(progress)
        for job in jobs.read(client, waiting):
            if job.state in jobs.UNDONE:
                click.echo(f"trace {job.trace_id[:12]} {ENDED[job.state]}: {job.error}", err=True)
    if progress.gone:
        click.echo(f"{progress.gone} jobs have no record any more; submit the prompts again", err=True)
    return progress.all_stored
