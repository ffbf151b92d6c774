"""Attention layers and MLPs as functions of the residual stream, with every head's inputs apart.

Tensors are [batch, position, ...]. Wherever a layer takes the residual stream, it takes one for all heads,
[batch, position, d_model], or one for each, [batch, position, head, d_model]. Keys and values that heads share
are private copies per query head from the moment they are computed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from circuitbase.tracing.components.norms import normed, normed_heads, shaped_over
from circuitbase.tracing.parts import Norm

Rotations = Callable[[int], tuple[Float[Tensor, "position d_rotary"], Float[Tensor, "position d_rotary"]]]


@dataclass(frozen=True)
class HeadNorm:
    """An RMSNorm of queries or keys: of each head's alone, or with `joint` of all heads' together.

    `weight` is [head, d_head] where it is joint, else [d_head].
    """

    weight: Float[Tensor, "*head d_head"]
    epsilon: float
    joint: bool


@dataclass(frozen=True)
class Scoring:
    """How queries and keys make scores; `rotations` gives (cosines, sines) for so many positions."""

    scale: float
    query_norm: HeadNorm | None = None
    key_norm: HeadNorm | None = None
    rotations: Rotations | None = None
    soft_cap: float | None = None
    window: int | None = None
    causal: bool = True


@dataclass(frozen=True)
class Attended:
    """What attention makes of queries, keys and values; `scores` are after any soft cap, masked ones −inf."""

    scores: Float[Tensor, "batch head query key"]
    pattern: Float[Tensor, "batch head query key"]
    mixed: Float[Tensor, "batch query head d_head"]


@dataclass(frozen=True)
class HeadWrites:
    """What each head adds to the residual stream, and what the layer adds whatever the heads do."""

    heads: Float[Tensor, "batch position head d_model"]
    constant: Float[Tensor, "batch position d_model"]


@dataclass(frozen=True)
class AttentionLayer:
    """An attention layer. Queries have a weight per head, keys and values one per group of heads."""

    norm: Norm | None
    post_norm: Norm | None
    W_Q: Float[Tensor, "head d_model d_head"]
    b_Q: Float[Tensor, "head d_head"] | None
    W_K: Float[Tensor, "group d_model d_head"]
    b_K: Float[Tensor, "group d_head"] | None
    W_V: Float[Tensor, "group d_model d_value"]
    b_V: Float[Tensor, "group d_value"] | None
    W_O: Float[Tensor, "head d_value d_model"]
    b_O: Float[Tensor, " d_model"] | None
    scoring: Scoring

    @property
    def n_heads(self) -> int:
        """Returns the number of query heads."""
        return self.W_Q.shape[0]

    def queries(self, x: Float[Tensor, "batch position *head d_model"]) -> Float[Tensor, "batch position head d_head"]:
        """Returns the queries before their norm and rotation."""
        return self.projected(x, self.W_Q, self.b_Q)

    def keys(self, x: Float[Tensor, "batch position *head d_model"]) -> Float[Tensor, "batch position head d_head"]:
        """Returns the keys before their norm and rotation, one per query head."""
        return self.projected(x, self.W_K, self.b_K)

    def values(self, x: Float[Tensor, "batch position *head d_model"]) -> Float[Tensor, "batch position head d_value"]:
        """Returns the values, one per query head."""
        return self.projected(x, self.W_V, self.b_V)

    def projected(
        self,
        x: Float[Tensor, "batch position *head d_model"],
        weight: Float[Tensor, "group d_model d_out"],
        bias: Float[Tensor, "group d_out"] | None,
    ) -> Float[Tensor, "batch position head d_out"]:
        """Returns what heads read of the residual stream behind the layer's norm, through a weight per group."""
        return self.joined(normed(self.norm, x), weight, bias)

    def joined(
        self,
        x: Float[Tensor, "batch position *head d_model"],
        weight: Float[Tensor, "group d_model d_out"],
        bias: Float[Tensor, "group d_out"] | None,
    ) -> Float[Tensor, "batch position head d_out"]:
        """Returns what heads make, through a weight per group, of what is behind the layer's norm."""
        each = self.n_heads // weight.shape[0]
        if x.dim() == 3:
            n_groups, d_model, d_out = weight.shape
            joined = weight.permute(1, 0, 2).reshape(d_model, n_groups * d_out)
            found = (x @ joined).unflatten(-1, (n_groups, d_out))
            found = found if bias is None else found + bias
            return found if each == 1 else found.repeat_interleave(each, dim=2)
        found = torch.einsum("btgrd,gdk->btgrk", x.unflatten(2, (weight.shape[0], each)), weight)
        found = found if bias is None else found + bias[:, None]
        return found.flatten(2, 3)

    def rotated_queries(
        self, queries: Float[Tensor, "batch position head d_head"]
    ) -> Float[Tensor, "batch position head d_head"]:
        """Returns queries as they meet keys: behind their norm and rotation."""
        return self.rotated(normed_heads(self.scoring.query_norm, queries))

    def rotated_keys(
        self, keys: Float[Tensor, "batch position head d_head"]
    ) -> Float[Tensor, "batch position head d_head"]:
        """Returns keys as they meet queries: behind their norm and rotation."""
        return self.rotated(normed_heads(self.scoring.key_norm, keys))

    def scores(
        self,
        queries: Float[Tensor, "batch position head d_head"],
        keys: Float[Tensor, "batch position head d_head"],
    ) -> Float[Tensor, "batch head query key"]:
        """Returns the scores after any soft cap; −inf where a query may not look."""
        rotated = self.rotated_queries(queries).transpose(1, 2), self.rotated_keys(keys).permute(0, 2, 3, 1)
        scores = self.scoring.scale * (rotated[0] @ rotated[1])
        if self.scoring.soft_cap is not None:
            scores = self.scoring.soft_cap * torch.tanh(scores / self.scoring.soft_cap)
        return scores.masked_fill(~self.visible(scores.shape[-1], device=scores.device), float("-inf"))

    def attended(
        self,
        queries: Float[Tensor, "batch position head d_head"],
        keys: Float[Tensor, "batch position head d_head"],
        values: Float[Tensor, "batch position head d_value"],
    ) -> Attended:
        """Returns the scores, the pattern and the mixed values."""
        scores = self.scores(queries, keys)
        pattern = torch.softmax(scores, dim=-1)
        return Attended(scores, pattern, self.mixed(pattern, values))

    def mixed(
        self, pattern: Float[Tensor, "batch head query key"], values: Float[Tensor, "batch key head d_value"]
    ) -> Float[Tensor, "batch query head d_value"]:
        """Returns each head's values, mixed by its pattern."""
        return (pattern @ values.transpose(1, 2)).transpose(1, 2)

    def written(self, mixed: Float[Tensor, "batch position head d_value"]) -> Float[Tensor, "batch position d_model"]:
        """Returns what the layer adds to the residual stream."""
        return normed(self.post_norm, self.written_before_norm(mixed))

    def written_before_norm(
        self, mixed: Float[Tensor, "batch position head d_value"]
    ) -> Float[Tensor, "batch position d_model"]:
        """Returns the layer's output before the norm behind it."""
        found = mixed.flatten(2) @ self.W_O.flatten(0, 1)
        return found if self.b_O is None else found + self.b_O

    def head_writes(self, mixed: Float[Tensor, "batch position head d_value"]) -> HeadWrites:
        """Returns the layer's write by head; behind a norm, heads share its denominator."""
        heads = torch.einsum("bthv,hvd->bthd", mixed, self.W_O)
        bias = torch.zeros_like(heads[:, :, 0]) if self.b_O is None else self.b_O.expand_as(heads[:, :, 0])
        if self.post_norm is None:
            return HeadWrites(heads, bias)
        whole = heads.sum(2) + bias
        constant = shaped_over(self.post_norm, bias, whole)
        if self.post_norm.bias is not None:
            constant = constant + self.post_norm.bias
        return HeadWrites(shaped_over(self.post_norm, heads, whole), constant)

    def visible(self, n_positions: int, *, device: torch.device) -> Bool[Tensor, "query key"]:
        """Returns which keys each query may look at."""
        place = torch.arange(n_positions, device=device)
        behind = place[:, None] - place[None, :]
        seen = behind >= 0 if self.scoring.causal else torch.ones_like(behind, dtype=torch.bool)
        return seen if self.scoring.window is None else seen & (behind < self.scoring.window)

    def rotated(
        self, vectors: Float[Tensor, "batch position head d_head"]
    ) -> Float[Tensor, "batch position head d_head"]:
        """Returns queries or keys, behind their norm, turned by their position."""
        if self.scoring.rotations is None:
            return vectors
        cosines, sines = self.scoring.rotations(vectors.shape[1])
        return turned(vectors, cosines[:, None], sines[:, None])


def turned(
    vectors: Float[Tensor, "*place d_head"],
    cosines: Float[Tensor, "*position d_rotary"],
    sines: Float[Tensor, "*position d_rotary"],
) -> Float[Tensor, "*place d_head"]:
    """Returns queries or keys turned as their positions say; what lies beyond the rotary width stays."""
    cosines, sines = cosines.to(vectors), sines.to(vectors)
    head, kept = vectors.split((cosines.shape[-1], vectors.shape[-1] - cosines.shape[-1]), dim=-1)
    first, second = head.chunk(2, dim=-1)
    head = head * cosines + torch.cat((-second, first), dim=-1) * sines
    return torch.cat((head, kept), dim=-1)


@dataclass(frozen=True)
class MlpLayer:
    """An MLP of neurons `activation(x W_gate + b_gate) · (x W_in + b_in)`; ungated, `activation(x W_in + b_in)`."""

    norm: Norm | None
    post_norm: Norm | None
    activation: Callable[[Tensor], Tensor]
    W_in: Float[Tensor, "d_model neuron"]
    b_in: Float[Tensor, " neuron"] | None
    W_gate: Float[Tensor, "d_model neuron"] | None
    b_gate: Float[Tensor, " neuron"] | None
    W_out: Float[Tensor, "neuron d_model"]
    b_out: Float[Tensor, " d_model"] | None

    @property
    def n_neurons(self) -> int:
        """Returns the number of neurons."""
        return self.W_in.shape[1]

    def neurons(self, x: Float[Tensor, "*batch position d_model"]) -> Float[Tensor, "*batch position neuron"]:
        """Returns the neurons' activations: what the output weight multiplies."""
        return self.neurons_behind(normed(self.norm, x))

    def neurons_behind(self, x: Float[Tensor, "*batch position d_model"]) -> Float[Tensor, "*batch position neuron"]:
        """Returns the neurons' activations, given what is behind the MLP's norm."""
        into = x @ self.W_in if self.b_in is None else x @ self.W_in + self.b_in
        if self.W_gate is None:
            return self.activation(into)
        gate = x @ self.W_gate if self.b_gate is None else x @ self.W_gate + self.b_gate
        return self.activation(gate) * into

    def written_before_norm(
        self, neurons: Float[Tensor, "*batch position neuron"]
    ) -> Float[Tensor, "*batch position d_model"]:
        """Returns the MLP's output before the norm behind it."""
        found = neurons @ self.W_out
        return found if self.b_out is None else found + self.b_out

    def written(self, x: Float[Tensor, "*batch position d_model"]) -> Float[Tensor, "*batch position d_model"]:
        """Returns what the MLP adds to the residual stream, its biases included."""
        return self.written_from(self.neurons(x))

    def written_from(
        self, neurons: Float[Tensor, "*batch position neuron"]
    ) -> Float[Tensor, "*batch position d_model"]:
        """Returns what the MLP adds to the residual stream, given its neurons' activations."""
        return normed(self.post_norm, self.written_before_norm(neurons))
