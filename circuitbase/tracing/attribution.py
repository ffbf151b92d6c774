"""Tracing: from a prompt's tokens to its attribution graph (Ameisen et al. 2025; methods.md section 1)."""

from collections.abc import Iterator, Sequence
from itertools import groupby, islice

import numpy as np
import torch
from jaxtyping import Bool

from circuitbase.errors import InputError
from circuitbase.graph.scores import is_unexplained
from circuitbase.graph.trace import Trace, TracedPrompt, TraceMetadata
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.assembly import assemble, with_head_parts
from circuitbase.tracing.dictionaries import Dictionary, Firing, check_fits
from circuitbase.tracing.frozen import FrozenModel, freeze
from circuitbase.tracing.head_split import head_parts
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.most_influential import trace_most_influential
from circuitbase.tracing.options import TRACER_VERSION, RoleTarget, TraceOptions
from circuitbase.tracing.outputs import chosen_outputs, facts
from circuitbase.tracing.plan import KIND, asked_targets
from circuitbase.tracing.preparation import Prepared, check_asked, prepare
from circuitbase.tracing.replacement import ReplacedLayer, fired_in
from circuitbase.tracing.run import PromptRun, run_prompts
from circuitbase.tracing.target_blocks import chosen_targets
from circuitbase.tracing.targets import AskedTarget, check_targets
from circuitbase.tracing.traced_rows import RowTracer, TracedRows

BATCH_SIZE = 16
BLOCK_NUMBERS = {"cpu": 2**20, "cuda": 2**28}  # numbers in a gradient: a core's cache, a part of a GPU's memory


def trace(
    model: TracedModel,
    dictionary: Dictionary,
    prompt: TracedPrompt,
    options: TraceOptions,
    *,
    roles: tuple[AskedTarget, ...] = (),
) -> Trace:
    """Returns the attribution graph of one prompt, computed alone, in memory.

    `roles` are the targets that `options.target` asks for, and have no part in a trace of the probable
    tokens. Raises InputError if model, dictionary, options and targets do not go together.
    """
    (found,) = trace_many(model, dictionary, [prompt], options, roles=[roles])
    return found


def trace_many(
    model: TracedModel,
    dictionary: Dictionary,
    prompts: Sequence[TracedPrompt],
    options: TraceOptions,
    *,
    roles: Sequence[tuple[AskedTarget, ...]] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Iterator[Trace]:
    """Yields the graphs of several prompts, in their order, each as `trace` gives it but for rounding.

    Neighbouring prompts of one length run through the model and the encoders together, at most
    `batch_size` at a time; a prompt that runs alone gives the same bytes every time. `roles` are the
    targets of each prompt. Raises InputError before anything is run if they do not go together.
    """
    check_fits(model, dictionary, dtype=options.dtype)
    targets = [()] * len(prompts) if roles is None else list(roles)
    if len(targets) != len(prompts):
        raise InputError(f"there must be targets for each of the {len(prompts)} prompts, got {len(targets)}")
    for prompt, each in zip(prompts, targets, strict=True):
        check_targets(each, kind=options.target, model=model.identity)
        check_asked(dictionary, prompt, silent=options.silent, targets=asked_targets(each, options=options))
    return _in_batches(model, dictionary, list(zip(prompts, targets, strict=True)), options, batch_size=batch_size)


@torch.no_grad()
def _in_batches(
    model: TracedModel,
    dictionary: Dictionary,
    asked: Sequence[tuple[TracedPrompt, tuple[AskedTarget, ...]]],
    options: TraceOptions,
    *,
    batch_size: int,
) -> Iterator[Trace]:
    for _, same_length in groupby(asked, key=lambda each: len(each[0].token_ids)):
        while batch := list(islice(same_length, batch_size)):
            runs = run_prompts(model, [prompt for prompt, _ in batch])
            frozen = [freeze(model, dictionary, run) for run in runs]
            fired = fired_in(dictionary, frozen, runs)
            for (prompt, targets), run, own, firing in zip(batch, runs, frozen, fired, strict=True):
                yield _traced(model, dictionary, prompt, options, run=run, frozen=own, fired=firing, targets=targets)


def _traced(
    model: TracedModel,
    dictionary: Dictionary,
    prompt: TracedPrompt,
    options: TraceOptions,
    *,
    run: PromptRun,
    frozen: FrozenModel,
    fired: Sequence[Firing],
    targets: tuple[AskedTarget, ...],
) -> Trace:
    """Returns the trace of a prompt that was run and encoded."""
    asked = asked_targets(targets, options=options)
    outputs = chosen_outputs(model, run, options=options, targets=asked)
    prepared = prepare(dictionary, prompt, run=run, frozen=frozen, fired=fired, outputs=outputs, silent=options.silent)
    rows, left_out = rows_and_left_out(prepared, options, block_numbers=BLOCK_NUMBERS[run.final.device.type])
    assembled = assemble(prepared.nodes, rows, prepared.layers, left_out=left_out, options=options)
    graph = assembled.graph
    if options.heads:
        parts = head_parts(prepared.paths, [*prepared.features, *prepared.ends], assembled.edges)
        graph = with_head_parts(graph, parts)
    return Trace(
        metadata=TraceMetadata(
            kind=KIND,
            model=model.identity,
            dictionary=dictionary.identity,
            prompt=prompt,
            request=options.request(asked),
            options=options.numeric(),
            dtype=options.dtype,
            tracer_version=TRACER_VERSION,
            targets=tuple(output.target for output in outputs),
            target_tokens=tuple(target.identity for target in asked),
            scores=assembled.scores,
            counts=assembled.counts,
            facts=facts(model, run.logits, roles=tuple(target for target in asked if isinstance(target, RoleTarget))),
            warnings=tuple(_warnings(model, prompt, prepared.layers)),
        ),
        graph=graph,
    )


def rows_and_left_out(
    prepared: Prepared, options: TraceOptions, *, block_numbers: int
) -> tuple[TracedRows, Bool[np.ndarray, " node"]]:
    """Returns the traced rows, and the features that were left out."""
    nodes = prepared.nodes
    tracer = RowTracer(
        prepared.paths,
        unexplained=is_unexplained(nodes.kind),
        keep_mass=options.keep_mass,
        block_numbers=block_numbers,
    )
    if options.max_features is None:
        tracer.trace([*prepared.features, *prepared.ends])
        return tracer.found(), np.zeros(len(nodes), dtype=bool)
    is_feature = nodes.kind == NodeKind.FEATURE
    asked = is_feature & (nodes.is_silent | (nodes.weight > 0))
    chosen = trace_most_influential(
        tracer,
        [*chosen_targets(prepared.features, np.flatnonzero(asked)), *prepared.ends],
        prepared.features,
        candidates=np.flatnonzero(is_feature & ~asked),
        count=options.max_features,
        output_weight=nodes.weight,
    )
    return tracer.found(), is_feature & ~asked & ~chosen


def _warnings(model: TracedModel, prompt: TracedPrompt, layers: Sequence[ReplacedLayer]) -> Iterator[str]:
    unknown = [place for place, token in enumerate(prompt.token_ids) if model.tokenizer.is_unknown(token)]
    if unknown:
        places = ", ".join(map(str, unknown))
        yield f"the tokenizer does not know the text at position {places}, so the model reads it as unknown"
    unexplained = {layer: replaced.unexplained for layer, replaced in enumerate(layers) if replaced.unexplained > 1}
    if unexplained:
        found = ", ".join(f"{fraction:.3g} in layer {layer}" for layer, fraction in unexplained.items())
        yield (
            f"the dictionary explains less than nothing of this prompt (fraction of variance unexplained: {found}); "
            "check that it was made for this model and reads where it was trained to"
        )
