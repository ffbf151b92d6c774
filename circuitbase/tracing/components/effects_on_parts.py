"""What every source brings, to first order, to the inputs of heads, links, MLPs, neurons and outputs."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from circuitbase.schema.kinds import NodeKind, Port
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.component_nodes import ComponentNodes
from circuitbase.tracing.components.component_rows import Effects
from circuitbase.tracing.components.derivatives import Pushed, pushed_to_heads
from circuitbase.tracing.components.norms import pushed
from circuitbase.tracing.components.propagation import Propagated
from circuitbase.tracing.components.seen import SeenPrompt
from circuitbase.tracing.components.source_grid import SourceGrid
from circuitbase.tracing.parts import Norm

Target = Int64[np.ndarray, " target"]
BLOCK_NUMBERS = 2**24  # effects on the targets of one block


@dataclass(frozen=True)
class TracedParts:
    """A prompt whose gradients were propagated, and the nodes that are to get their in-edges."""

    model: ComponentModel
    seen: SeenPrompt
    found: Propagated
    grid: SourceGrid
    nodes: ComponentNodes

    def constant_before(self, layer: int, *, behind_attention: bool) -> Float[Tensor, "position d_model"]:
        """Returns what no source writes of what is in the stream before a layer, or between its parts."""
        behind = layer + 1 if behind_attention else layer
        return self.seen.constant + sum(each.constant for each in self.seen.layers[:behind])


@torch.no_grad()
def effects_on_layer(parts: TracedParts, layer: int) -> Iterator[tuple[Target, list[Effects]]]:
    """Yields the targets of a layer with what flows into them, in the order in which they compute.

    First its links, then its heads, then its MLP and neurons: no target reads a later one.
    """
    n_units = parts.grid.before_heads[layer]
    # sources first, then the constants, then the stream itself
    x, constant = parts.seen.layers[layer].before, parts.constant_before(layer, behind_attention=False)
    rows = torch.cat([parts.grid.write[:n_units], constant[None], x[None]])
    pushes = pushed_to_heads(parts.model.attention[layer], x, rows)
    if len(parts.nodes.links[layer]):
        yield parts.nodes.links[layer], list(_on_links(parts, layer, pushes))
    for head in range(parts.model.n_heads):
        positions = parts.found.layers[layer].kept_heads[:, head].nonzero()[:, 0]
        at_once = max(1, BLOCK_NUMBERS // (2 * n_units * len(parts.seen.tokens)))
        for chosen in positions.split(at_once):
            if len(chosen):
                target = parts.nodes.source[n_units + head, chosen.cpu().numpy()]
                yield target, list(_on_head(parts, layer, head, chosen, pushes))
    yield from _on_mlp(parts, layer)


@torch.no_grad()
def effects_on_stream(
    parts: TracedParts,
    *,
    n_units: int,
    position: Int[Tensor, " target"],
    gradient: Float[Tensor, "target d_model"],
    stream: Float[Tensor, "position d_model"],
    constant: Float[Tensor, "position d_model"],
    norm: Norm | None = None,
) -> Effects:
    """Returns what the first `n_units` units bring to targets that read `gradient` at positions of the stream.

    With a `norm`, the gradients are those behind it.
    """
    rows = torch.cat([parts.grid.write[:n_units, position], constant[None, position], stream[None, position]])
    reads = torch.einsum("utd,td->tu", pushed(norm, rows, stream[position]), gradient)
    return _effects(Port.NONE, reads, parts.nodes.source[:n_units, position.cpu().numpy()].T)


def _on_head(
    parts: TracedParts, layer: int, head: int, position: Int[Tensor, " target"], pushes: Pushed
) -> Iterator[Effects]:
    """Yields what flows into a head at positions: through queries, keys, values, and the links that are nodes."""
    seen, found = parts.seen.layers[layer], parts.found.layers[layer]
    links = found.links
    scores = found.heads.scores[head]
    mine = links.head == head
    if bool(mine.any()):
        scores = scores.index_put((links.query[mine], links.key[mine]), scores.new_zeros(()))
    scores = scores[position]
    n_units = len(pushes.queries) - 2
    nodes = parts.nodes.source[:n_units]
    at = position.cpu().numpy()
    by_query = torch.einsum("utd,td->tu", pushes.queries[:, position, head], scores @ seen.keys[:, head])
    yield _effects(Port.Q, by_query, nodes[:, at].T)
    by_key = torch.einsum("td,ukd->tuk", seen.queries[position, head], pushes.keys[:, :, head]) * scores[:, None]
    yield _summed_effects(Port.K, by_key, nodes)
    by_value = torch.einsum("td,ukd->tuk", found.heads.mixed[position, head], pushes.values[:, :, head])
    yield _summed_effects(Port.V, by_value * seen.pattern[head, position][:, None], nodes)
    if bool(mine.any()):
        yield _of_links(parts, layer, mine, links.query[mine], position)


def _of_links(
    parts: TracedParts, layer: int, mine: Tensor, query: Int[Tensor, " link"], position: Int[Tensor, " target"]
) -> Effects:
    links = parts.found.layers[layer].links
    weight = torch.where(query[None] == position[:, None], links.weight[mine][None], 0.0)
    none = np.zeros(len(position))
    return Effects(
        port=Port.NONE,
        weight=_array(weight),
        source=parts.nodes.links[layer][mine.cpu().numpy()],
        constant=none,
        whole=_array(weight.sum(1)),
    )


def _on_links(parts: TracedParts, layer: int, pushes: Pushed) -> Iterator[Effects]:
    """Yields what flows into the links: to the query's side at its position, to the key's at its own."""
    seen, found = parts.seen.layers[layer], parts.found.layers[layer]
    head, query, key = found.links.head, found.links.query, found.links.key
    gradient = found.heads.scores[head, query, key]
    nodes = parts.nodes.source[: len(pushes.queries) - 2]
    by_query = torch.einsum("uld,ld->lu", pushes.queries[:, query, head], seen.keys[key, head])
    yield _effects(Port.Q, by_query * gradient[:, None], nodes[:, query.cpu().numpy()].T)
    by_key = torch.einsum("uld,ld->lu", pushes.keys[:, key, head], seen.queries[query, head])
    yield _effects(Port.K, by_key * gradient[:, None], nodes[:, key.cpu().numpy()].T)


def _on_mlp(parts: TracedParts, layer: int) -> Iterator[tuple[Target, list[Effects]]]:
    """Yields an MLP at the positions where it is kept, and its neurons."""
    grid, found = parts.grid, parts.found.layers[layer]
    parallel = parts.model.parallel
    constant = parts.constant_before(layer, behind_attention=not parallel)
    mlp = grid.before_heads[layer] + parts.model.n_heads
    position = found.kept_mlp.nonzero()[:, 0]
    rows = [(position, found.mlp_gradient[position], np.full(len(position), mlp))]
    neurons = found.neurons
    if len(neurons.neuron):
        units = {
            grid.unit[row]: row
            for row in range(mlp + 1, grid.before_heads[layer + 1])
            if grid.kind[row] == NodeKind.NEURON
        }
        of_neuron = np.array([units[neuron] for neuron in neurons.neuron.tolist()])
        rows.append((neurons.position, neurons.gradient, of_neuron))
    for at, gradient, unit in rows:
        if len(at):
            effects = effects_on_stream(
                parts,
                n_units=grid.before_mlp[layer],
                position=at,
                gradient=gradient,
                stream=parts.seen.layers[layer].middle,
                constant=constant,
                norm=parts.model.mlps[layer].norm,
            )
            yield parts.nodes.source[unit, at.cpu().numpy()], [effects]


def _effects(port: Port, rows: Float[Tensor, "target row"], source: np.ndarray) -> Effects:
    """Returns effects whose last two rows are the constants and the stream itself."""
    return Effects(port, _array(rows[:, :-2]), source, _array(rows[:, -2]), _array(rows[:, -1]))


def _summed_effects(port: Port, rows: Float[Tensor, "target row key"], nodes: np.ndarray) -> Effects:
    """Returns the same of rows at every key, each source at each key for itself."""
    return Effects(
        port=port,
        weight=_array(rows[:, :-2].flatten(1)),
        source=nodes.ravel(),
        constant=_array(rows[:, -2].sum(-1)),
        whole=_array(rows[:, -1].sum(-1)),
    )


def _array(numbers: Float[Tensor, "..."]) -> np.ndarray:
    found: np.ndarray = numbers.cpu().numpy()
    return found
