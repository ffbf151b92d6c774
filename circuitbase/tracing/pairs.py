"""Chosen pairs: the effects of named units on named units on one prompt, unpruned, without tracing everything.

This is the second pass from local to global: an edge that pruning left out of some traces is measured again in
all of them. The cost is that of one forward pass and of the rows of the targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64

from circuitbase.graph.trace import TracedPrompt
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.attribution import block_numbers
from circuitbase.tracing.dictionaries import Dictionary
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.nodes import Nodes
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.precision import matrix_precision
from circuitbase.tracing.prompt_batches import asked_prompts, prepared_prompts
from circuitbase.tracing.target_blocks import chosen_targets
from circuitbase.tracing.targets import AskedTarget
from circuitbase.tracing.traced_rows import RowTracer


@dataclass(frozen=True)
class UnitKey:
    """A unit as a trace file's columns name it: of a feature its layer and index, of an input token -1 and its id.

    Layer errors have index 0; outputs have the model's number of layers, and their token or, for a role or a
    direction, their place among the targets asked for.
    """

    kind: NodeKind
    layer: int
    index: int


@dataclass(frozen=True)
class PairEffects:
    """A row for every pair of trace nodes of the chosen units, sorted by pair, target and source position.

    `pair` counts the pairs as given; a pair one of whose units has no node on the prompt has no row, one whose source
    cannot act on the target (later, or not below) has rows of weight 0. `absolute_input` is Σ|A| of the whole row
    of the target; weight over it is the edge's share.
    """

    pair: Int64[np.ndarray, " row"]
    source_position: Int64[np.ndarray, " row"]
    target_position: Int64[np.ndarray, " row"]
    weight: Float64[np.ndarray, " row"]
    source_activation: Float64[np.ndarray, " row"]
    target_activation: Float64[np.ndarray, " row"]
    absolute_input: Float64[np.ndarray, " row"]


@torch.no_grad()
def pair_effects(
    model: TracedModel,
    dictionary: Dictionary,
    prompt: TracedPrompt,
    options: TraceOptions,
    *,
    pairs: Sequence[tuple[UnitKey, UnitKey]],
    targets: tuple[AskedTarget, ...] = (),
) -> PairEffects:
    """Returns the effects of each pair's first unit on its second.

    Outputs must be among those that options and `targets` ask for; features that did not fire are targets if
    `options.silent` names them. Raises InputError as `trace` does.
    """
    asked = asked_prompts(model, dictionary, [prompt], options, targets=[targets])
    (prepared,) = prepared_prompts(model, dictionary, asked, options)
    nodes = prepared.nodes
    sources = [_nodes_of(nodes, source) for source, _ in pairs]
    ends = [_nodes_of(nodes, target) for _, target in pairs]
    wanted = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *ends]))
    tracer = RowTracer(
        prepared.paths,
        unexplained=np.zeros(len(nodes), dtype=bool),
        keep_mass=1.0,
        block_numbers=block_numbers(prepared),
        columns=np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *sources])),
    )
    with matrix_precision(tf32=options.tf32):
        tracer.trace(chosen_targets([*prepared.features, *prepared.ends], wanted))
    rows = tracer.found()
    weight = {
        (int(source), int(target)): float(value)
        for block in rows.blocks
        for edges in [block.edges(block.scores(np.ones(len(block.target))) > 0)]
        for source, target, value in zip(edges.source, edges.target, edges.weight, strict=True)
    }
    found = [
        (pair, source, target)
        for pair, (from_nodes, to_nodes) in enumerate(zip(sources, ends, strict=True))
        for target in to_nodes.tolist()
        for source in from_nodes.tolist()
    ]
    pair, source, target = (
        (np.array(column, dtype=np.int64) for column in zip(*found, strict=True))
        if found
        else (np.zeros(0, dtype=np.int64),) * 3
    )
    return PairEffects(
        pair=pair,
        source_position=nodes.position[source].astype(np.int64),
        target_position=nodes.position[target].astype(np.int64),
        weight=np.array([weight.get((s, t), 0.0) for _, s, t in found]),
        source_activation=nodes.activation[source],
        target_activation=nodes.activation[target],
        absolute_input=rows.absolute_input[target],
    )


def _nodes_of(nodes: Nodes, unit: UnitKey) -> Int64[np.ndarray, " node"]:
    rows = nodes.rows(unit.kind, unit.layer)
    return rows[nodes.unit[rows] == unit.index]
