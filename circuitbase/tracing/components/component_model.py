"""A model as a chain of attention layers and MLPs that read and write one residual stream."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.components.component_graph import ComponentGraph
from circuitbase.tracing.components.layers import AttentionLayer, MlpLayer
from circuitbase.tracing.components.norms import normed
from circuitbase.tracing.parts import Norm


@dataclass(frozen=True)
class Embedding:
    """What is in the residual stream before block 0: what tokens write, and what is there whatever they are.

    `constant` holds positional embeddings.
    """

    tokens: Float[Tensor, "batch position d_model"]
    constant: Float[Tensor, "batch position d_model"]

    @property
    def stream(self) -> Float[Tensor, "batch position d_model"]:
        """Returns the residual stream before block 0."""
        return self.tokens + self.constant


@dataclass(frozen=True)
class ComponentModel:
    """A model by its components, in float32 or float64; nothing in it is frozen.

    `embedded` embeds tokens [batch, position]. In a `parallel` model the MLP of a block reads the block's input.
    `logit_cap` is a soft cap on the logits. `n_input_tokens` is given where inputs are of another vocabulary than
    outputs.
    """

    embedded: Callable[[Int[Tensor, "batch position"]], Embedding]
    attention: tuple[AttentionLayer, ...]
    mlps: tuple[MlpLayer, ...]
    final_norm: Norm | None
    W_U: Float[Tensor, "token d_model"]
    b_U: Float[Tensor, " token"] | None
    logit_cap: float | None
    parallel: bool = False
    n_input_tokens: int | None = None

    @property
    def n_layers(self) -> int:
        """Returns the number of blocks."""
        return len(self.attention)

    @property
    def n_heads(self) -> int:
        """Returns the number of query heads of a layer."""
        return self.attention[0].n_heads

    @property
    def causal(self) -> bool:
        """Returns whether no position can look at a later one."""
        return all(layer.scoring.causal for layer in self.attention)

    @property
    def graph(self) -> ComponentGraph:
        """Returns the model's components and the edges between them."""
        return ComponentGraph(self.n_layers, self.n_heads, parallel=self.parallel)

    def logits(self, x: Float[Tensor, "*place d_model"]) -> Float[Tensor, "*place token"]:
        """Returns the logits, soft cap included, of the residual stream after the last block."""
        logits = normed(self.final_norm, x) @ self.W_U.T
        if self.b_U is not None:
            logits = logits + self.b_U
        return logits if self.logit_cap is None else self.logit_cap * torch.tanh(logits / self.logit_cap)
