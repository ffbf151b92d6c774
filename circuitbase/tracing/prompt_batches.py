"""Prompts run and encoded together, each then prepared by itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import torch

from circuitbase.errors import InputError, ModelError
from circuitbase.graph.trace import TracedPrompt
from circuitbase.tracing.attention.explained_heads import check_heads, resolved_heads
from circuitbase.tracing.dictionaries import Dictionary, check_fits
from circuitbase.tracing.frozen import freeze
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.outputs import chosen_outputs
from circuitbase.tracing.plan import asked_targets
from circuitbase.tracing.precision import matrix_precision
from circuitbase.tracing.preparation import Prepared, check_asked, prepare
from circuitbase.tracing.replacement import fired_in
from circuitbase.tracing.run import run_prompts
from circuitbase.tracing.targets import AskedTarget, check_targets

BATCH_SIZE = 16


@dataclass(frozen=True)
class AskedPrompt:
    """A prompt with the targets that its trace is to end in; those of its set, where the options ask for others."""

    prompt: TracedPrompt
    targets: tuple[AskedTarget, ...]


def asked_prompts(
    model: TracedModel,
    dictionary: Dictionary,
    prompts: Sequence[TracedPrompt],
    options: TraceOptions,
    *,
    targets: Sequence[tuple[AskedTarget, ...]] | None,
) -> list[AskedPrompt]:
    """Returns prompts with their targets; raises InputError if anything does not go together."""
    check_fits(model, dictionary, dtype=options.dtype)
    n_heads = model.parts.blocks[0].attention.W_O.shape[0]
    check_heads(options.explain_attention, n_layers=model.identity.n_layers, n_heads=n_heads)
    given = [()] * len(prompts) if targets is None else list(targets)
    if len(given) != len(prompts):
        raise InputError(f"there must be targets for each of the {len(prompts)} prompts, got {len(given)}")
    for its_targets in given:
        check_targets(its_targets, kind=options.target, model=model.identity)
    asked = [
        AskedPrompt(prompt, asked_targets(each, options=options)) for prompt, each in zip(prompts, given, strict=True)
    ]
    for each in asked:
        check_asked(dictionary, each.prompt, silent=options.silent, targets=each.targets)
        resolved_heads(options.explain_attention, n_positions=len(each.prompt.token_ids))
    return asked


def prepared_prompts(
    model: TracedModel,
    dictionary: Dictionary,
    asked: Sequence[AskedPrompt],
    options: TraceOptions,
    *,
    batch_size: int = BATCH_SIZE,
) -> Iterator[Prepared]:
    """Yields prompts prepared, in their order; neighbours of one length run together, at most `batch_size` at a time.

    A device that runs out of memory gets smaller batches. Raises ModelError if one prompt alone does not fit.
    """
    for _, same_length in groupby(asked, key=lambda each: len(each.prompt.token_ids)):
        while batch := list(islice(same_length, batch_size)):
            yield from _prepared(model, dictionary, batch, options)


def _prepared(
    model: TracedModel, dictionary: Dictionary, batch: list[AskedPrompt], options: TraceOptions
) -> Iterator[Prepared]:
    try:
        with torch.no_grad(), matrix_precision(tf32=options.tf32):
            found = _together(model, dictionary, batch, options)
    except torch.cuda.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        if len(batch) == 1:
            raise ModelError(
                f"the device has too little memory to run a prompt of {len(batch[0].prompt.token_ids)} tokens beside "
                f"the model and the dictionary ({error}); trace a shorter one, or load the dictionary lazily"
            ) from error
        half = len(batch) // 2
        yield from _prepared(model, dictionary, batch[:half], options)
        yield from _prepared(model, dictionary, batch[half:], options)
    else:
        yield from found


def _together(
    model: TracedModel, dictionary: Dictionary, batch: list[AskedPrompt], options: TraceOptions
) -> list[Prepared]:
    runs = run_prompts(model, [each.prompt for each in batch])
    frozen = [freeze(model, dictionary, run) for run in runs]
    fired = fired_in(dictionary, frozen, runs)
    return [
        prepare(
            dictionary,
            each.prompt,
            run=run,
            frozen=own,
            fired=firing,
            targets=each.targets,
            outputs=chosen_outputs(model, run, options=options, targets=each.targets),
            silent=options.silent,
        )
        for each, run, own, firing in zip(batch, runs, frozen, fired, strict=True)
    ]
