"""Queueing prepared prompts in batches: into their set, into job records, into messages, in this order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import redis
from celery import Celery
from neo4j import Driver

from circuitbase.graph.trace import DictionaryIdentity, ModelIdentity
from circuitbase.ingest.prompt_sets import SetPrompt, put_prompts
from circuitbase.ingest.stored_traces import stored_trace_ids
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.plan import plan
from circuitbase.workers import jobs, publishing
from circuitbase.workers.batches import batches
from circuitbase.workers.job_request import JobRequest
from circuitbase.workers.jobs import FINAL, JobState
from circuitbase.workers.places import absolute
from circuitbase.workers.prepared_prompt import PreparedPrompt
from circuitbase.workers.routing import trace_queue

BATCH = 500


@dataclass(frozen=True)
class Queueing:
    """What every batch of one submission needs; `folders` are the model's and the dictionary's."""

    client: redis.Redis
    app: Celery
    driver: Driver
    database: str
    model: ModelIdentity
    dictionary: DictionaryIdentity | None
    folders: tuple[str, str | None]
    prompt_set: str
    options: TraceOptions | ComponentOptions
    any_model_name: bool
    priority: int
    dry_run: bool


@dataclass(frozen=True)
class Queued:
    """How many traces were stored before and how many are newly queued, and the ids of all not stored.

    `new_tokens` are the tokens of the newly queued ones.

    `configurations` are the ids of those that the traces are under: one, unless their roles differ.
    """

    stored: int
    new: int
    new_tokens: int
    under_way: tuple[str, ...]
    configurations: tuple[str, ...]


@dataclass(frozen=True)
class Planned:
    """A prompt with the trace it will become."""

    trace_id: str
    prompt_id: str
    configuration_id: str
    prompt: PreparedPrompt
    request: JobRequest


def queue_all(
    queueing: Queueing, prompts: Iterable[PreparedPrompt], *, heard: Callable[[int, int], None] | None, total: int
) -> Queued:
    """Queues every prompt whose trace is neither stored nor under way; `heard` is told (done, total)."""
    done = new = new_tokens = 0
    under_way: list[str] = []
    configurations: dict[str, None] = {}
    for batch in batches(prompts, size=BATCH):
        planned = [_planned(queueing, prompt) for prompt in batch]
        if not queueing.dry_run:
            entries = [_said(one) for one in planned]
            put_prompts(queueing.driver, queueing.prompt_set, entries, database=queueing.database)
        missing = _not_stored(queueing, planned)
        queued = _queue(queueing, missing)
        new += len(queued)
        new_tokens += sum(len(one.request.prompt.token_ids) for one in queued)
        under_way += [one.trace_id for one in missing]
        configurations |= dict.fromkeys(one.configuration_id for one in planned)
        done += len(planned)
        if heard is not None:
            heard(done, total)
    return Queued(
        stored=done - len(under_way),
        new=new,
        new_tokens=new_tokens,
        under_way=tuple(under_way),
        configurations=tuple(configurations),
    )


def _planned(queueing: Queueing, prompt: PreparedPrompt) -> Planned:
    roles = prompt.roles if queueing.options.target == "roles" else ()
    ids = plan(queueing.model, queueing.dictionary, prompt.prompt, roles, queueing.options)
    model, dictionary = queueing.folders
    request = JobRequest(
        model=absolute(model),
        dictionary=None if dictionary is None else absolute(dictionary),
        prompt=prompt.prompt,
        roles=roles,
        options=queueing.options,
        any_model_name=queueing.any_model_name,
    )
    return Planned(ids.trace_id, ids.prompt_id, ids.configuration_id, prompt, request)


def _said(planned: Planned) -> SetPrompt:
    line = planned.prompt.line
    return SetPrompt(
        prompt_id=planned.prompt_id,
        prompt=planned.prompt.prompt,
        answer=line.answer,
        distractor=line.distractor,
        spans=line.spans,
        roles=planned.prompt.positions,
        cluster=line.cluster,
        labels=line.labels,
    )


def _not_stored(queueing: Queueing, planned: list[Planned]) -> list[Planned]:
    ids = [one.trace_id for one in planned]
    stored = stored_trace_ids(queueing.driver, ids, database=queueing.database)
    return [one for one in planned if one.trace_id not in stored]


def _queue(queueing: Queueing, missing: list[Planned]) -> list[Planned]:
    """Records and publishes the jobs that are not under way; returns them (with dry_run, those that would be)."""
    if queueing.dry_run:
        states = jobs.states(queueing.client, [one.trace_id for one in missing])
        return [one for one, state in zip(missing, states, strict=True) if state is None or state in FINAL]
    requests = [(one.trace_id, one.request) for one in missing]
    is_new = jobs.put(queueing.client, requests, prompt_set=queueing.prompt_set, priority=queueing.priority)
    new = [one for one, publish in zip(missing, is_new, strict=True) if publish]
    if new:
        publishing.publish_jobs(
            queueing.app,
            [(one.trace_id, JobState.QUEUED) for one in new],
            queue=trace_queue(new[0].request),  # the same for all of a submission
            priority=queueing.priority,
        )
    return new
