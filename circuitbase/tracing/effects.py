"""Direct effects: the rows of a prompt's attribution graph, by pulling read vectors back through the frozen model.

Only what lies below a target and not after it is visited. A row block has a column for every node that could
act on its targets and no others; no array has a row and a column for every node.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from circuitbase.tracing.frozen import FrozenModel, seeded
from circuitbase.tracing.target_blocks import Point, Targets
from circuitbase.tracing.writers import Place, Writers, Written


@dataclass(frozen=True)
class RowBlock:
    """Effects of nodes (`source`, one a column, ascending) on a block's targets, and of all constants together."""

    source: Int64[np.ndarray, " column"]
    weight: Float[Tensor, "target column"]
    bias_effect: Float64[np.ndarray, " target"]


class FrozenPaths:
    """The frozen model of a prompt together with everything that writes into it."""

    def __init__(self, frozen: FrozenModel, written: Written) -> None:
        self.frozen = frozen
        self.written = written
        self.d_model = written.tokens.writers[0].write.shape[-1]
        self.device = written.tokens.writers[0].write.device

    def rows(self, targets: Targets) -> RowBlock:
        """Returns the effects on targets that read at one place."""
        position = targets.position_on(targets.read.device)
        found = _Collected(n_positions=targets.n_positions, bias=targets.constant.double())
        layer = targets.layer
        gradient = self._first_gradient(targets, position, found)
        for below in range(layer - 1, -1, -1):
            gradient = self._past_block(gradient, below, found)
        if gradient is not None:
            found.add(gradient, self.written.tokens)
        return found.result()

    def _first_gradient(
        self, targets: Targets, position: Tensor, found: "_Collected"
    ) -> Float[Tensor, "position target d_model"] | None:
        """Returns the gradient at the input of the block that the targets read in, None if that is all there is."""
        layer, n_positions = targets.layer, found.n_positions
        if targets.point == Point.ATTENTION:
            attention = self.frozen.layers[layer].read_attention
            assert attention is not None
            found.add_bias((targets.read * attention.constant[position]).sum(-1))
            return attention.pulled_from(targets.read, position, n_positions=n_positions)
        assert targets.norm is not None
        found.add_bias(targets.norm.constant(targets.read))
        rows = targets.norm.pulled(targets.read, position)
        if targets.point == Point.BLOCK_INPUT or self.frozen.layers[layer].parallel:
            return seeded(rows, position, n_positions=n_positions)
        # each target reads at one position alone, so its values are mixed from there and not from everywhere
        attention = self.frozen.layers[layer].attention
        found.add_bias((rows * attention.constant[position]).sum(-1))
        gradient = seeded(rows, position, n_positions=n_positions)
        if layer == 0:
            mixed = attention.mixed_from(rows, position, n_positions=n_positions)
            self._read_tokens(gradient, mixed, found)
            return None
        return gradient.add_(attention.pulled_from(rows, position, n_positions=n_positions))

    def _past_block(
        self, gradient: Float[Tensor, "position target d_model"] | None, layer: int, found: "_Collected"
    ) -> Float[Tensor, "position target d_model"] | None:
        """Returns the gradient before a block of the one after it; None if nothing lies below."""
        assert gradient is not None
        block = self.frozen.layers[layer]
        found.add(gradient, self.written.mlp[layer])
        skipped = block.past_features(gradient)
        direct = gradient if skipped is None else gradient + skipped
        at_attention = gradient if block.parallel else direct
        found.add(at_attention, self.written.attention[layer])
        if self.written.attention[layer].writers:
            return direct
        mixed = block.attention.mixed(at_attention)
        if layer == 0:
            self._read_tokens(direct, mixed, found)
            return None
        return block.attention.at_input(mixed).add_(direct)

    def _read_tokens(
        self,
        gradient: Float[Tensor, "position target d_model"],
        mixed: Float[Tensor, "position target group_value"],
        found: "_Collected",
    ) -> None:
        """Collects what tokens do past attention 0 and through it; the latter at its values, where it is less work."""
        found.add(gradient, self.written.tokens)
        found.add(mixed, self._token_values)

    @cached_property
    def _token_values(self) -> Place:
        """Returns what the tokens write as attention 0's values read it."""
        to_input = self.frozen.layers[0].attention.to_input
        (writers,) = self.written.tokens.writers
        return Place((Writers(writers.write @ to_input.T, writers.node, with_constant=writers.with_constant),), None)


class _Collected:
    """Effects gathered on the way down, a part for each layer's features and for each other kind of writer."""

    def __init__(self, *, n_positions: int, bias: Float[Tensor, " target"]) -> None:
        self.n_positions = n_positions
        self.bias = bias
        self.parts: dict[bytes, Tensor] = {}
        self.nodes: dict[bytes, np.ndarray] = {}

    def add_bias(self, effect: Float[Tensor, " target"]) -> None:
        """Adds the effect of a constant."""
        self.bias = self.bias + effect.double()

    def add(self, gradient: Float[Tensor, "position target d_model"], place: Place) -> None:
        """Adds the effects of what is written where the gradient is."""
        if place.constant is not None:
            effect = torch.bmm(gradient, place.constant[: self.n_positions, :, None])
            self.bias = self.bias + effect[:, :, 0].sum(0, dtype=torch.float64)
        for writers in place.writers:
            self._add_writers(gradient, writers)

    def _add_writers(self, gradient: Float[Tensor, "position target d_model"], writers: Writers) -> None:
        effect = torch.bmm(gradient, writers.write[: self.n_positions].transpose(1, 2))
        if writers.with_constant:
            self.bias = self.bias + effect[:, :, -1].sum(0, dtype=torch.float64)
        filled, nodes = writers.filled_up_to(self.n_positions)
        if len(nodes) == 0:
            return
        part = effect.transpose(0, 1).reshape(effect.shape[1], -1)
        if len(nodes) < part.shape[1]:
            part = part.index_select(1, filled)
        key = nodes[:1].tobytes()  # writers of the same nodes, at other layers, begin with the same one
        if key in self.parts:
            self.parts[key] += part
        else:
            self.parts[key], self.nodes[key] = part, nodes

    def result(self) -> RowBlock:
        """Returns the effects with a column per node, in node order."""
        source = np.concatenate(list(self.nodes.values()))
        order = np.argsort(source)
        joined = torch.cat(list(self.parts.values()), dim=1)
        return RowBlock(
            source=source[order],
            weight=joined.index_select(1, torch.from_numpy(order).to(joined.device)),
            bias_effect=self.bias.cpu().numpy(),
        )
