"""Tracing: from a prompt's tokens to its attribution graph (Ameisen et al. 2025; methods.md section 1)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool

from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.graph.scores import is_unexplained
from circuitbase.graph.trace import Scores, Trace, TracedPrompt, TraceMetadata
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.assembly import Assembled, assemble, stored_violation, with_head_parts
from circuitbase.tracing.attention.link_nodes import links_violation, with_links
from circuitbase.tracing.attention.links import attention_links
from circuitbase.tracing.dictionaries import Dictionary
from circuitbase.tracing.head_split import head_parts
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.most_influential import trace_most_influential
from circuitbase.tracing.options import RoleTarget, TraceOptions
from circuitbase.tracing.outputs import facts
from circuitbase.tracing.precision import matrix_precision
from circuitbase.tracing.preparation import Prepared
from circuitbase.tracing.prompt_batches import BATCH_SIZE, asked_prompts, prepared_prompts
from circuitbase.tracing.target_blocks import chosen_targets
from circuitbase.tracing.targets import AskedTarget
from circuitbase.tracing.traced_rows import RowTracer, TracedRows

MUCH_ROUNDED = 0.05
BLOCK_NUMBERS = {"cpu": 2**20, "cuda": 2**28}  # numbers in a gradient: a core's cache, a part of a GPU's memory


def trace(
    model: TracedModel,
    dictionary: Dictionary,
    prompt: TracedPrompt,
    options: TraceOptions,
    *,
    roles: tuple[AskedTarget, ...] = (),
    threads: int | None = None,
) -> Trace:
    """Returns the attribution graph of one prompt, computed alone, in memory.

    `roles` are the targets that `options.target` asks for, and have no part in a trace of the probable
    tokens. `threads` is how many rows are traced at once on a CPU, by default as many as torch has; it
    changes no number. Raises InputError if model, dictionary, options and targets do not go together.
    """
    (found,) = trace_many(model, dictionary, [prompt], options, roles=[roles], threads=threads)
    return found


def trace_many(
    model: TracedModel,
    dictionary: Dictionary,
    prompts: Sequence[TracedPrompt],
    options: TraceOptions,
    *,
    roles: Sequence[tuple[AskedTarget, ...]] | None = None,
    batch_size: int = BATCH_SIZE,
    threads: int | None = None,
) -> Iterator[Trace]:
    """Yields the graphs of several prompts, in their order, each as `trace` gives it but for rounding.

    Neighbouring prompts of one length run through the model and the encoders together, at most
    `batch_size` at a time; a prompt that runs alone gives the same bytes every time. `roles` are the
    targets of each prompt. Raises InputError before anything is run if they do not go together.
    """
    asked = asked_prompts(model, dictionary, prompts, options, targets=roles)
    prepared = prepared_prompts(model, dictionary, asked, options, batch_size=batch_size)
    return (_traced(model, dictionary, each, options, threads=threads) for each in prepared)


@torch.no_grad()
def _traced(
    model: TracedModel, dictionary: Dictionary, prepared: Prepared, options: TraceOptions, *, threads: int | None
) -> Trace:
    """Returns the trace of a prompt that was run and encoded."""
    with matrix_precision(tf32=options.tf32):
        rows, left_out = rows_and_left_out(prepared, options, block_numbers=block_numbers(prepared), threads=threads)
        assembled = assemble(prepared.nodes, rows, prepared.layers, left_out=left_out, options=options)
        graph, scores = assembled.graph, assembled.scores
        if options.heads:
            parts = head_parts(prepared.paths, [*prepared.features, *prepared.ends], assembled.edges)
            graph = with_head_parts(graph, parts)
        if options.explain_attention:
            graph, scores = _with_links(model, prepared, options, replace(assembled, graph=graph))
    prompt, asked = prepared.prompt, prepared.targets
    roles = tuple(target for target in asked if isinstance(target, RoleTarget))
    return Trace(
        metadata=TraceMetadata(
            kind=options.kind,
            model=model.identity,
            dictionary=dictionary.identity,
            prompt=prompt,
            request=options.request(asked),
            options=options.numeric(),
            dtype=options.dtype,
            tracer_version=options.tracer_version,
            targets=tuple(output.target for output in prepared.outputs),
            target_tokens=tuple(target.identity for target in asked),
            scores=scores,
            counts=assembled.counts,
            facts=facts(model, prepared.run.logits, roles=roles),
            warnings=tuple(_warnings(model, prepared)),
        ),
        graph=graph,
    )


def _with_links(
    model: TracedModel, prepared: Prepared, options: TraceOptions, assembled: Assembled
) -> tuple[AttributionGraph, Scores]:
    """Returns the graph with the attention links asked for, and its scores with the links' accounts."""
    kept, scores = assembled.kept_nodes, assembled.scores
    links = attention_links(model, prepared, options, kept=kept, block_numbers=block_numbers(prepared))
    graph = with_links(assembled.graph, links, kept=kept)
    return graph, replace(
        scores,
        account_violation=max(scores.account_violation, links_violation(links)),
        stored_account_violation=stored_violation(graph),
    )


def block_numbers(prepared: Prepared) -> int:
    """Returns how many numbers a gradient may have on the device that a prompt was prepared on."""
    return BLOCK_NUMBERS[prepared.run.final.device.type]


def rows_and_left_out(
    prepared: Prepared, options: TraceOptions, *, block_numbers: int, threads: int | None = None
) -> tuple[TracedRows, Bool[np.ndarray, " node"]]:
    """Returns the traced rows, and the features that were left out."""
    nodes = prepared.nodes
    tracer = RowTracer(
        prepared.paths,
        unexplained=is_unexplained(nodes.kind),
        keep_mass=options.keep_mass,
        block_numbers=block_numbers,
        threads=threads,
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


def _warnings(model: TracedModel, prepared: Prepared) -> Iterator[str]:
    unknown = [place for place, token in enumerate(prepared.prompt.token_ids) if model.tokenizer.is_unknown(token)]
    if unknown:
        places = ", ".join(map(str, unknown))
        yield f"the tokenizer does not know the text at position {places}, so the model reads it as unknown"
    unexplained = {layer: each.unexplained for layer, each in enumerate(prepared.layers) if each.unexplained > 1}
    if unexplained:
        found = ", ".join(f"{fraction:.3g} in layer {layer}" for layer, fraction in unexplained.items())
        yield (
            f"the dictionary explains less than nothing of this prompt (fraction of variance unexplained: {found}); "
            "check that it was made for this model and reads where it was trained to"
        )
    shares = [0.0 if each.rounding is None else each.rounding.share for each in prepared.paths.frozen.layers]
    layer, rounded = max(enumerate(shares), key=lambda each: each[1])
    if rounded > MUCH_ROUNDED:
        yield (
            f"in {model.dtype} up to {rounded:.0%} of the residual stream after layer {layer} is rounding, which the "
            "graph counts as constant; trace in float32 to be rid of it"
        )
