"""Component traces: from a prompt's tokens to a graph of heads, MLPs, neurons and links, with nothing frozen."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.errors import InputError, ModelError
from circuitbase.graph.trace import Trace, TracedPrompt, TraceMetadata
from circuitbase.tracing.assembly import assemble
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.component_nodes import ComponentNodes, component_nodes
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.components.component_outputs import component_outputs
from circuitbase.tracing.components.component_request import component_prompt
from circuitbase.tracing.components.component_rows import ComponentRows, component_rows
from circuitbase.tracing.components.effects_on_parts import TracedParts, effects_on_layer, effects_on_stream
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.propagation import End, Propagated, propagated
from circuitbase.tracing.components.seen import seen_prompt
from circuitbase.tracing.components.source_grid import source_grid
from circuitbase.tracing.components.summed_positions import summed_positions
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.nodes import Nodes
from circuitbase.tracing.outputs import OutputNode, facts
from circuitbase.tracing.plan import asked_targets
from circuitbase.tracing.targets import AskedTarget, RoleTarget, check_targets
from circuitbase.tracing.traced_rows import TracedRows

MOST_EFFECTS = 10**8  # 2 GB as edges


@torch.no_grad()
def trace_components(
    model: TracedModel,
    prompt: TracedPrompt,
    options: ComponentOptions,
    *,
    roles: tuple[AskedTarget, ...] = (),
) -> Trace:
    """Returns the graph of one prompt by the model's own parts.

    An edge's weight is the source's write times the gradient, at what the target reads, of the outputs' weighted
    sum through the target (into an output: of that output alone): what the outputs lose, to first order, when this
    part of the target's input is left out. Positive supports the outputs. Every position has nodes. Raises
    InputError if options and targets do not go together, or if the prompt has one position.
    """
    check_targets(roles, kind=options.target, model=model.identity)
    prompt = component_prompt(prompt)
    asked = asked_targets(roles, options=options)
    traced = traced_components(
        component_model(model),
        torch.tensor(prompt.token_ids, device=model.device),
        options,
        targets=asked,
        token_string=model.tokenizer.token_string,
    )
    answers = tuple(target for target in asked if isinstance(target, RoleTarget))
    left_out = np.zeros(len(traced.nodes), dtype=bool)
    assembled = assemble(traced.nodes, traced.rows, (), left_out=left_out, options=options)
    return Trace(
        metadata=TraceMetadata(
            kind=options.kind,
            model=model.identity,
            dictionary=None,
            prompt=prompt,
            request=options.request(asked),
            options=options.numeric(),
            dtype=options.dtype,
            tracer_version=options.tracer_version,
            targets=tuple(output.target for output in traced.outputs),
            target_tokens=tuple(target.identity for target in asked),
            scores=assembled.scores,
            counts=assembled.counts,
            facts=facts(model, traced.logits, roles=answers),
            warnings=tuple(_warnings(model, prompt)),
        ),
        graph=assembled.graph,
    )


@dataclass(frozen=True)
class TracedComponents:
    """A prompt's nodes, the in-edges of all of them, what they end in, and the last position's logits."""

    nodes: Nodes
    rows: TracedRows
    outputs: tuple[OutputNode, ...]
    logits: Float[Tensor, " token"]


@torch.no_grad()
def traced_components(
    model: ComponentModel,
    token_ids: Int[Tensor, " position"],
    options: ComponentOptions,
    *,
    targets: tuple[AskedTarget, ...],
    token_string: Callable[[int], str],
) -> TracedComponents:
    """Returns the unpruned graph of one prompt.

    Raises InputError if it would not fit into memory, ModelError for logits that are not finite.
    """
    seen = seen_prompt(model, token_ids)
    if not torch.isfinite(seen.logits).all():
        raise ModelError("the model should give finite logits on this prompt, but does not; check its weights")
    found_outputs = component_outputs(model, seen, options=options, targets=targets, token_string=token_string)
    outputs, ends = [output for output, _ in found_outputs], [end for _, end in found_outputs]
    found = propagated(model, seen, ends, options)
    _check_size(model, found, options)
    grid = source_grid(seen, found, parallel=model.parallel)
    nodes = component_nodes(token_ids.tolist(), grid, found, outputs)
    table, rows = _together(nodes, list(_rows(TracedParts(model, seen, found, grid, nodes), ends, options)))
    if options.positions == "summed":
        table, rows = summed_positions(table, rows)
    return TracedComponents(table, rows, tuple(outputs), seen.logits)


def _check_size(model: ComponentModel, found: Propagated, options: ComponentOptions) -> None:
    """Raises InputError for a complete trace that would not fit into memory."""
    if options.loses_mass:
        return
    n_positions = len(found.input)
    n_effects = sum(
        int(layer.kept_heads.sum()) * model.graph.before_heads(place) * (n_positions + 2)
        for place, layer in enumerate(found.layers)
    )
    if n_effects > MOST_EFFECTS:
        raise InputError(
            f"a complete component trace of {n_positions} positions would have about {n_effects:,} edges, more than "
            f"{MOST_EFFECTS:,}; leave out the least with a threshold, such as relative_tau 0.01"
        )


def _rows(parts: TracedParts, ends: Sequence[End], options: ComponentOptions) -> Iterator[ComponentRows]:
    """Yields the in-edges of every node, in topological order."""
    model: ComponentModel = parts.model
    for layer in range(model.n_layers):
        yield from _of_ends(parts, ends, options, layer=layer)
        for target, effects in effects_on_layer(parts, layer):
            yield component_rows(target, effects, options)
    yield from _of_ends(parts, ends, options, layer=model.n_layers)


def _of_ends(
    parts: TracedParts, ends: Sequence[End], options: ComponentOptions, *, layer: int
) -> Iterator[ComponentRows]:
    """Yields the in-edges of the outputs that read the stream before a layer."""
    places = [place for place, end in enumerate(ends) if end.layer == layer]
    if not places:
        return
    seen = parts.seen
    position = torch.tensor([ends[place].position for place in places], device=seen.final.device)
    effects = effects_on_stream(
        parts,
        n_units=parts.grid.before_heads[layer],
        position=position,
        gradient=torch.stack([ends[place].gradient for place in places]),
        stream=seen.final if layer == parts.model.n_layers else seen.layers[layer].before,
        constant=parts.constant_before(layer, behind_attention=False),
    )
    yield component_rows(parts.nodes.table.outputs[places], [effects], options)


def _together(nodes: ComponentNodes, rows: Sequence[ComponentRows]) -> tuple[Nodes, TracedRows]:
    """Returns the nodes, with what their accounts must close to, and the rows of all of them."""
    n_nodes = len(nodes.table)
    columns = {name: np.zeros(n_nodes) for name in ("absolute_input", "net_input", "bias_effect", "preactivation")}
    is_traced = np.zeros(n_nodes, dtype=bool)
    for each in rows:
        is_traced[each.block.target] = True
        for name, column in columns.items():
            column[each.block.target] = getattr(each, name)
    preactivation = np.where(is_traced, columns.pop("preactivation"), np.nan)
    traced = TracedRows(
        blocks=[each.block for each in rows],
        is_traced=is_traced,
        unexplained_input=np.zeros(n_nodes),
        **columns,
    )
    return replace(nodes.table, preactivation=preactivation), traced


def _warnings(model: TracedModel, prompt: TracedPrompt) -> Iterator[str]:
    unknown = [place for place, token in enumerate(prompt.token_ids) if model.tokenizer.is_unknown(token)]
    if unknown:
        places = ", ".join(map(str, unknown))
        yield f"the tokenizer does not know the text at position {places}, so the model reads it as unknown"
