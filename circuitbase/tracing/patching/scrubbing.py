"""Causal scrubbing: does a model do as well when everything that a hypothesis calls irrelevant is resampled?

Source: Chan et al. 2022, with their algorithm: the hypothesis is a tree, each node of it is evaluated on a prompt
drawn among those that agree with its parent's prompt on what matters to the node, and all inputs that the tree
does not name come from one random prompt per node. Prompts are drawn with replacement and may be the parent's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.schema.kinds import Port
from circuitbase.tracing.components.component_model import ComponentModel, Embedding
from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.components.running import Site
from circuitbase.tracing.components.writes import Writes, component_writes, constant_before_heads, constant_before_mlp
from circuitbase.tracing.patching.hypothesis import Hypothesis, HypothesisNode
from circuitbase.tracing.patching.seen_run import SeenRun, seen_run


@dataclass(frozen=True)
class ScrubbingData:
    """What scrubbing draws from: the clean prompts, of one length, with what every component writes on them."""

    model: ComponentModel
    pairs: tuple[Pair, ...]
    writes: Writes
    seen: SeenRun

    @property
    def read_at(self) -> int:
        """Returns the last position, where the logits are read."""
        return len(self.pairs[0].clean) - 1


def scrubbing_data(model: ComponentModel, pairs: Sequence[Pair]) -> ScrubbingData:
    """Returns the runs that are drawn from; raises InputError unless there are two prompts or more of one length."""
    lengths = sorted({len(pair.clean) for pair in pairs})
    if len(pairs) < 2 or len(lengths) > 1:
        raise InputError(
            "scrubbing puts values of one prompt into another, so it needs two pairs or more of one length, "
            f"got {len(pairs)} of lengths {', '.join(map(str, lengths))}"
        )
    embedding: Embedding = model.embedded(torch.tensor([pair.clean for pair in pairs], device=model.W_U.device))
    read_at = torch.full((len(pairs),), lengths[0] - 1, device=model.W_U.device)
    return ScrubbingData(
        model=model,
        pairs=tuple(pairs),
        writes=component_writes(model, embedding, read_at=read_at),
        seen=seen_run(model, embedding.stream, sites={Site.MIXED}, read_at=read_at),
    )


@torch.no_grad()
def scrubbed_logits(
    data: ScrubbingData, hypothesis: Hypothesis, reference: Int[Tensor, " row"], *, generator: torch.Generator
) -> Float[Tensor, "row token"]:
    """Returns the logits under a hypothesis, each row for its reference prompt (its place among the pairs)."""
    if hypothesis.output.inputs is None:
        return data.writes.logits[reference]
    draw = _Draw(data, hypothesis, generator)
    stream = _stream(draw, hypothesis.output, Port.NONE, reference, draw.anyone(reference))
    return data.model.logits(stream[:, data.read_at])


def agreeing(data: ScrubbingData, hypothesis: Hypothesis, node: HypothesisNode) -> Int[Tensor, " prompt"]:
    """Returns, of each prompt, the number of its group: prompts of a group agree on what matters to the node."""
    keys = [
        tuple(_value(data, hypothesis, matter, number) for matter in node.matters) for number in range(len(data.pairs))
    ]
    order = {key: group for group, key in enumerate(dict.fromkeys(keys))}
    return torch.tensor([order[key] for key in keys])


def _value(data: ScrubbingData, hypothesis: Hypothesis, matter: int | str, number: int) -> object:
    pair = data.pairs[number]
    if isinstance(matter, int):
        if not -len(pair.clean) <= matter < len(pair.clean):
            raise InputError(f"position {matter} matters to the hypothesis, but prompts have {len(pair.clean)} tokens")
        return pair.clean[matter]
    if matter in ("correct", "wrong"):
        return pair.correct if matter == "correct" else pair.wrong
    return hypothesis.labels[matter.removeprefix("label:")][number]


class _Draw:
    """Draws prompts, on the CPU so that a seed means the same everywhere."""

    def __init__(self, data: ScrubbingData, hypothesis: Hypothesis, generator: torch.Generator) -> None:
        self.data, self.hypothesis, self.generator = data, hypothesis, generator
        self.groups = {node: agreeing(data, hypothesis, node) for node in hypothesis.output.nodes}

    def anyone(self, reference: Int[Tensor, " row"]) -> Int[Tensor, " row"]:
        """Returns a random prompt for each row."""
        return torch.randint(len(self.data.pairs), (len(reference),), generator=self.generator).to(reference.device)

    def agreeing(self, node: HypothesisNode, reference: Int[Tensor, " row"]) -> Int[Tensor, " row"]:
        """Returns for each row a random prompt that agrees with its reference on what matters to the node."""
        group = self.groups[node]
        weights = (group[reference.cpu()][:, None] == group[None]).double()
        return torch.multinomial(weights, 1, generator=self.generator)[:, 0].to(reference.device)


def _scrubbed_write(
    draw: _Draw, node: HypothesisNode, reference: Int[Tensor, " row"]
) -> Float[Tensor, "row position d_model"]:
    """Returns what a node writes for reference prompts that agree with its parent's."""
    data, model = draw.data, draw.data.model
    source = model.graph.source_names.index(node.node)
    if node.inputs is None:
        return data.writes.sources[reference, :, source]
    layer, head = divmod(source - 1, model.n_heads + 1)
    other = draw.anyone(reference)
    if head == model.n_heads:
        return model.mlps[layer].written(_stream(draw, node, Port.NONE, reference, other))
    attention = model.attention[layer]
    queries, keys, values = (_stream(draw, node, port, reference, other) for port in (Port.Q, Port.K, Port.V))
    found = attention.attended(attention.queries(queries), attention.keys(keys), attention.values(values)).mixed
    mixed = data.seen.values[Site.MIXED, layer][reference].clone()  # a norm behind attention sees the other heads too
    mixed[:, :, head] = found[:, :, head]
    return attention.head_writes(mixed).heads[:, :, head]


def _stream(
    draw: _Draw,
    node: HypothesisNode,
    port: Port,
    reference: Int[Tensor, " row"],
    other: Int[Tensor, " row"],
) -> Float[Tensor, "row position d_model"]:
    """Returns what a node reads by a port: its named inputs scrubbed, everything else as on the `other` prompts."""
    graph, writes = draw.data.model.graph, draw.data.writes
    n_sources, constant = _reads(draw.data.model, node.node)
    stream = writes.sources[other, :, :n_sources].sum(2) + writes.constant[constant][other]
    for child in node.inputs or ():
        if child.port == port:
            scrubbed = _scrubbed_write(draw, child, draw.agreeing(child, reference))
            stream = stream - writes.sources[other, :, graph.source_names.index(child.node)] + scrubbed
    return stream


def _reads(model: ComponentModel, name: str) -> tuple[int, int]:
    """Returns how many sources a node reads, and the place of the constant that it reads with them."""
    graph = model.graph
    if name == "logits":
        return graph.n_sources, constant_before_heads(model.n_layers)
    layer, head = divmod(graph.source_names.index(name) - 1, model.n_heads + 1)
    if head == model.n_heads:
        return graph.before_mlp(layer), constant_before_mlp(layer, parallel=model.parallel)
    return graph.before_heads(layer), constant_before_heads(layer)
