"""Submitting prompts: read and check all of them, skip what is stored or under way, queue the rest."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from circuitbase.errors import InputError, PromptFileError
from circuitbase.graph.trace import DictionaryIdentity, ModelIdentity, TracedPrompt
from circuitbase.ingest.connection import open_driver
from circuitbase.ingest.migrations import ensure_schema
from circuitbase.ingest.prompt_sets import check_set_name
from circuitbase.settings import Settings
from circuitbase.store.prompt_line import BadLine, PromptLine
from circuitbase.tracing.attention.explained_heads import check_heads_of, resolved_heads
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.components.component_request import component_prompt
from circuitbase.tracing.identities import read_dictionary_identity, read_model_identity
from circuitbase.tracing.named_features import check_features
from circuitbase.tracing.options import TargetKind, TraceOptions
from circuitbase.tracing.tokenizing import PromptTokenizer
from circuitbase.workers.application import application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.estimate import Estimate, estimate
from circuitbase.workers.intake import AskedTarget, intake
from circuitbase.workers.leases import republish_lost
from circuitbase.workers.places import absolute
from circuitbase.workers.priorities import DEFAULT_PRIORITY
from circuitbase.workers.queueing import Queueing, queue_all


@dataclass(frozen=True)
class Asked:
    """What to do with prompts; `model` and `dictionary` are folders or hub ids.

    A trace of components needs no dictionary.
    `target` decides over `options.target`; `auto` is `roles` if every prompt has an answer. With `chat`
    each prompt is a user's message and goes through the model's chat template; `any_model_name` takes a
    dictionary that names another model. Jobs of a higher `priority` (0 to 9) are begun first.
    """

    model: str
    dictionary: str | None
    prompt_set: str
    target: AskedTarget = "auto"
    options: TraceOptions | ComponentOptions = field(default_factory=TraceOptions)
    chat: bool = False
    any_model_name: bool = False
    priority: int = DEFAULT_PRIORITY


@dataclass(frozen=True)
class Submission:
    """What became of the prompts. `under_way` are the trace ids of all that were not stored yet.

    `configurations` are the ids of those that the traces are under: one, unless their roles differ.
    `new_tokens` are those of the `new` prompts; a dry run has an `estimate` of the seconds they take.
    `repeated` lines equal an earlier line; `bad` lines were left out (line number, problem).
    """

    prompt_set: str
    target: TargetKind
    under_way: tuple[str, ...]
    configurations: tuple[str, ...]
    new: int
    already_stored: int
    already_queued: int
    repeated: int
    bad: tuple[tuple[int, str], ...]
    tokens: int
    new_tokens: int
    estimate: Estimate | None


def submit(
    lines: Iterable[PromptLine | BadLine],
    *,
    source: str,
    asked: Asked,
    settings: Settings,
    skip_bad: bool = False,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Submission:
    """Puts prompts into their set and queues those whose traces are neither stored nor under way.

    Raises PromptFileError with every bad line of `source` before anything is written, unless
    `skip_bad`. With `dry_run` nothing is written at all. `progress` hears (done, total) prompts.
    """
    check_set_name(asked.prompt_set)
    model = read_model_identity(asked.model)
    dictionary = _checked_dictionary(asked, model)
    tokenizer = PromptTokenizer(asked.model)
    with (
        open_redis(settings) as client,
        open_driver(settings) as driver,
        intake(lines, tokenizer, chat=asked.chat, fits=partial(_check_fits, asked.options)) as found,
    ):
        target = found.resolved(asked.target)
        bad = found.bad_for(target)
        if bad and not skip_bad:
            raise PromptFileError(source, bad)
        if not found.good:
            raise InputError(f"{source} should hold prompts, but holds none that can be traced; give some")
        queueing = Queueing(
            client=client,
            app=application(settings),
            driver=driver,
            database=settings.neo4j_database,
            model=model,
            dictionary=dictionary,
            folders=(asked.model, asked.dictionary),
            prompt_set=asked.prompt_set,
            options=replace(asked.options, target=target),  # type: ignore[arg-type]  # probable or roles: both have these
            any_model_name=asked.any_model_name,
            priority=asked.priority,
            dry_run=dry_run,
        )
        if not dry_run:
            ensure_schema(driver, database=settings.neo4j_database)
            republish_lost(client, queueing.app)
        queued = queue_all(queueing, found.prompts(target), heard=progress, total=found.good)
        estimated = estimate(client, model=absolute(asked.model), kind=asked.options.kind) if dry_run else None
    return Submission(
        prompt_set=asked.prompt_set,
        target=target,
        under_way=queued.under_way,
        configurations=queued.configurations,
        new=queued.new,
        already_stored=queued.stored,
        already_queued=len(queued.under_way) - queued.new,
        repeated=found.repeated,
        bad=tuple(bad),
        tokens=found.tokens,
        new_tokens=queued.new_tokens,
        estimate=estimated,
    )


def _checked_dictionary(asked: Asked, model: ModelIdentity) -> DictionaryIdentity | None:
    """Returns the dictionary that the traces need; raises InputError for options that it or the model cannot have."""
    options = asked.options
    if isinstance(options, ComponentOptions) or asked.dictionary is None:
        return None
    dictionary = read_dictionary_identity(asked.dictionary, model=model, any_model_name=asked.any_model_name)
    check_features(options.silent, model=model, dictionary=dictionary)
    check_heads_of(options.explain_attention, model=asked.model)
    return dictionary


def _check_fits(options: TraceOptions | ComponentOptions, prompt: TracedPrompt) -> None:
    """Raises InputError for a prompt that is too short for what is asked."""
    if isinstance(options, ComponentOptions):
        component_prompt(prompt)
    else:
        resolved_heads(options.explain_attention, n_positions=len(prompt.token_ids))
