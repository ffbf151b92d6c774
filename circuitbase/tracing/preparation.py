"""A prompt before any effect is computed: its nodes, what reads in its frozen model and what writes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from circuitbase.errors import InputError
from circuitbase.graph.trace import TracedPrompt
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.dictionaries import Dictionary, Firing
from circuitbase.tracing.effects import FrozenPaths
from circuitbase.tracing.frozen import FrozenModel
from circuitbase.tracing.frozen_norm import no_norm
from circuitbase.tracing.hooks import READS_BEFORE_MLP, WRITES_OF_ATTENTION
from circuitbase.tracing.nodes import Nodes, node_table
from circuitbase.tracing.outputs import OutputNode, checked_position
from circuitbase.tracing.replacement import Features, ReplacedLayer, SilentFeature, replaced_layers
from circuitbase.tracing.run import PromptRun
from circuitbase.tracing.target_blocks import Point, Targets
from circuitbase.tracing.targets import AskedTarget, DirectionTarget, FeatureTarget
from circuitbase.tracing.writers import written_by


@dataclass(frozen=True)
class Prepared:
    """A prompt's frozen model with everything that reads and writes in it.

    `features` and `ends` are what rows are traced for: the features, silent ones too, and the outputs.
    """

    prompt: TracedPrompt
    targets: tuple[AskedTarget, ...]
    run: PromptRun
    outputs: tuple[OutputNode, ...]
    nodes: Nodes
    layers: tuple[ReplacedLayer, ...]
    features: list[Targets]
    ends: list[Targets]
    paths: FrozenPaths


def prepare(
    dictionary: Dictionary,
    prompt: TracedPrompt,
    *,
    run: PromptRun,
    frozen: FrozenModel,
    fired: Sequence[Firing],
    targets: tuple[AskedTarget, ...],
    outputs: Sequence[OutputNode],
    silent: Sequence[tuple[int, int]],
) -> Prepared:
    """Returns what a prompt's rows are traced from; `silent` are (layer, feature) to trace where they do not fire.

    What is asked for must have passed `check_asked`.
    """
    layers = replaced_layers(
        dictionary,
        frozen,
        run,
        fired,
        without_nodes=prompt.positions_without_nodes,
        silent=[*_silent_features(prompt, silent), *_target_features(outputs)],
    )
    on_attention = dictionary.writes in WRITES_OF_ATTENTION
    reads = reads_residual(dictionary)
    nodes = node_table(layers, outputs, prompt, reads=reads, mlp_nodes=on_attention)
    written = written_by(nodes, layers, run, writes=dictionary.writes, frozen=frozen)
    return Prepared(
        prompt=prompt,
        targets=targets,
        run=run,
        outputs=tuple(outputs),
        nodes=nodes,
        layers=layers,
        features=list(_feature_targets(nodes, layers, frozen, on_attention=on_attention)) if reads else [],
        ends=list(_end_targets(nodes, outputs, frozen, like=run.final)),
        paths=FrozenPaths(frozen, written),
    )


def reads_residual(dictionary: Dictionary) -> bool:
    """Returns whether features have in-edges: an SAE on MLP outputs reads behind the MLP that it replaces."""
    return dictionary.reads in READS_BEFORE_MLP or dictionary.writes in WRITES_OF_ATTENTION


def _silent_features(prompt: TracedPrompt, asked: Sequence[tuple[int, int]]) -> Iterator[SilentFeature]:
    """Yields the asked features at every position with nodes."""
    for layer, feature in asked:
        for position in range(len(prompt.token_ids)):
            if position not in prompt.positions_without_nodes:
                yield SilentFeature(layer, feature, position)


def _target_features(outputs: Sequence[OutputNode]) -> Iterator[SilentFeature]:
    """Yields the features that the trace ends in, which are traced whether they fire or not."""
    for output in outputs:
        if output.kind == NodeKind.FEATURE:
            yield SilentFeature(output.layer, output.unit, output.position)


def check_asked(
    dictionary: Dictionary,
    prompt: TracedPrompt,
    *,
    silent: Sequence[tuple[int, int]],
    targets: Sequence[AskedTarget],
) -> None:
    """Raises InputError if what is asked for is not in the dictionary or not on the prompt."""
    if silent and not reads_residual(dictionary):
        raise InputError(
            "silent features need a dictionary whose features have in-edges, and this one reads behind "
            "the part that it replaces; leave them out"
        )
    for layer, feature in silent:
        check_feature(dictionary, layer, feature)
    for target in targets:
        if isinstance(target, DirectionTarget | FeatureTarget):
            checked_position(target, n_positions=len(prompt.token_ids))
        if isinstance(target, FeatureTarget):
            _check_target_feature(dictionary, prompt, target)


def _check_target_feature(dictionary: Dictionary, prompt: TracedPrompt, target: FeatureTarget) -> None:
    if not reads_residual(dictionary):
        raise InputError(
            "the target `features` needs a dictionary whose features have in-edges, and this one "
            "reads behind the part that it replaces; ask for another target"
        )
    check_feature(dictionary, target.layer, target.feature)
    if target.position in prompt.positions_without_nodes:
        raise InputError(
            f"position {target.position} has no nodes on this prompt, so no feature can be a target "
            "there; name another position"
        )


def check_feature(dictionary: Dictionary, layer: int, feature: int) -> None:
    """Raises InputError if a dictionary has no such feature."""
    if not 0 <= layer < len(dictionary.layers):
        raise InputError(f"the layer of a feature must be 0 to {len(dictionary.layers) - 1}, got {layer}")
    n_features = dictionary.layers[layer].W_enc.shape[0]
    if not 0 <= feature < n_features:
        raise InputError(f"a feature of layer {layer} must be 0 to {n_features - 1}, got {feature}")


def _feature_targets(
    nodes: Nodes, layers: Sequence[ReplacedLayer], frozen: FrozenModel, *, on_attention: bool
) -> Iterator[Targets]:
    """Yields each layer's features, active and silent ones together."""
    for layer, replaced in enumerate(layers):
        node = np.concatenate([nodes.active[layer], nodes.silent[layer]])
        if len(node) == 0:
            continue
        order = np.argsort(node)  # node order is that of positions
        both: list[Features] = [replaced.active, replaced.silent]
        read = torch.cat([each.read for each in both])
        if len(replaced.silent):
            read = read[torch.from_numpy(order).to(read.device)]
        yield Targets(
            layer=layer,
            point=Point.ATTENTION if on_attention else Point.BEFORE_MLP,
            norm=None if on_attention else frozen.layers[layer].read,
            node=node[order],
            position=nodes.position[node[order]],
            read=read,
            constant=torch.zeros_like(read[:, 0]),
        )


def _end_targets(
    nodes: Nodes, outputs: Sequence[OutputNode], frozen: FrozenModel, *, like: torch.Tensor
) -> Iterator[Targets]:
    """Yields the outputs by where they read: logits together, each direction alone."""
    own = [
        (node, output) for node, output in zip(nodes.outputs.tolist(), outputs, strict=True) if output.read is not None
    ]
    logits = sorted((each for each in own if each[1].at_final_norm), key=lambda each: each[0])
    groups = [logits] if logits else []
    groups += [[each] for each in own if not each[1].at_final_norm]
    for group in groups:
        first = group[0][1]
        yield Targets(
            layer=first.layer,
            point=Point.BLOCK_INPUT,
            norm=frozen.final_norm if first.at_final_norm else no_norm(like),
            node=np.array([node for node, _ in group], dtype=np.int64),
            position=np.array([output.position for _, output in group], dtype=np.int32),
            read=torch.stack([output.read for _, output in group if output.read is not None]),
            constant=torch.tensor([output.constant for _, output in group], dtype=like.dtype, device=like.device),
        )
