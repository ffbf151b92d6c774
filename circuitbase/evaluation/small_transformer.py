"""The project's own small transformer: what compiled programs, hand-set gates and trained toys run on.

Unlike a Hugging Face model it may have no norm, no MLP, no causal mask, and another vocabulary out than in. Weights
lie by head and are named as in the literature, so that they can be set by hand.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from circuitbase.errors import ModelError

NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class SmallConfig:
    """The shape of a small transformer."""

    n_layers: int
    n_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    """Neurons of each MLP; 0 for a model without MLPs, whose MLPs write zeros."""
    d_vocab: int
    d_vocab_out: int
    n_positions: int
    norm: Literal["layer"] | None = None
    causal: bool = True
    activation: Literal["relu", "gelu"] = "relu"
    score_scale: float = 1.0
    """What a query's product with a key is multiplied by; usually 1/sqrt(d_head)."""
    biases: bool = True


class SmallBlock(nn.Module):
    """One layer: heads that each read their own query, key and value inputs, then an MLP.

    Parameters that a config does not ask for are not there.
    """

    W_Q: Float[Tensor, "head d_model d_head"]
    W_K: Float[Tensor, "head d_model d_head"]
    W_V: Float[Tensor, "head d_model d_head"]
    W_O: Float[Tensor, "head d_head d_model"]
    W_in: Float[Tensor, "d_model neuron"]
    W_out: Float[Tensor, "neuron d_model"]
    b_Q: Float[Tensor, "head d_head"]
    b_K: Float[Tensor, "head d_head"]
    b_V: Float[Tensor, "head d_head"]
    b_O: Float[Tensor, " d_model"]
    b_in: Float[Tensor, " neuron"]
    b_out: Float[Tensor, " d_model"]
    norm_attention: nn.LayerNorm
    norm_mlp: nn.LayerNorm

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        self.config = config
        head, d_model, d_head, d_mlp = config.n_heads, config.d_model, config.d_head, config.d_mlp
        for name in ("W_Q", "W_K", "W_V"):
            self.register_parameter(name, drawn(head, d_model, d_head, fan_in=d_model))
        self.W_O = drawn(head, d_head, d_model, fan_in=head * d_head)
        if d_mlp:
            self.W_in = drawn(d_model, d_mlp, fan_in=d_model)
            self.W_out = drawn(d_mlp, d_model, fan_in=d_mlp)
        if config.biases:
            for name in ("b_Q", "b_K", "b_V"):
                self.register_parameter(name, nn.Parameter(torch.zeros(head, d_head)))
            self.b_O = nn.Parameter(torch.zeros(d_model))
            if d_mlp:
                self.b_in = nn.Parameter(torch.zeros(d_mlp))
                self.b_out = nn.Parameter(torch.zeros(d_model))
        if config.norm:
            self.norm_attention = nn.LayerNorm(d_model, eps=NORM_EPSILON)
            if d_mlp:
                self.norm_mlp = nn.LayerNorm(d_model, eps=NORM_EPSILON)

    def pattern(
        self,
        query_input: Float[Tensor, "batch position head d_model"],
        key_input: Float[Tensor, "batch position head d_model"],
    ) -> Float[Tensor, "batch head position key_position"]:
        """Returns the attention weights of each head."""
        scores = torch.einsum("bqhd,bkhd->bhqk", self.queries(query_input), self.keys(key_input))
        scores = scores * self.config.score_scale
        if self.config.causal:
            ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(ahead, -math.inf)
        return scores.softmax(-1)

    def queries(
        self, query_input: Float[Tensor, "batch position head d_model"]
    ) -> Float[Tensor, "batch position head d_head"]:
        """Returns the queries of residual streams, one stream per head."""
        return self._projected(query_input, "Q")

    def keys(
        self, key_input: Float[Tensor, "batch position head d_model"]
    ) -> Float[Tensor, "batch position head d_head"]:
        """Returns the keys of residual streams, one stream per head."""
        return self._projected(key_input, "K")

    def head_writes(
        self,
        query_input: Float[Tensor, "batch position head d_model"],
        key_input: Float[Tensor, "batch position head d_model"],
        value_input: Float[Tensor, "batch position head d_model"],
    ) -> Float[Tensor, "batch position head d_model"]:
        """Returns what each head adds to the residual stream; its output bias is the layer's, `b_O`, and not in it."""
        pattern = self.pattern(query_input, key_input)
        mixed = torch.einsum("bhqk,bkhd->bqhd", pattern, self._projected(value_input, "V"))
        return torch.einsum("bqhd,hdm->bqhm", mixed, self.W_O)

    def mlp_write(self, mlp_input: Float[Tensor, "batch position d_model"]) -> Float[Tensor, "batch position d_model"]:
        """Returns what the MLP adds to the residual stream, its output bias included."""
        if not self.config.d_mlp:
            return torch.zeros_like(mlp_input)
        normed = self.norm_mlp(mlp_input) if self.config.norm else mlp_input
        hidden = normed @ self.W_in
        if self.config.biases:
            hidden = hidden + self.b_in
        activated = hidden.relu() if self.config.activation == "relu" else nn.functional.gelu(hidden)
        written = activated @ self.W_out
        return written + self.b_out if self.config.biases else written

    def forward(self, stream: Float[Tensor, "batch position d_model"]) -> Float[Tensor, "batch position d_model"]:
        """Returns the residual stream behind the layer."""
        by_head = stream.unsqueeze(2).expand(-1, -1, self.config.n_heads, -1)
        stream = stream + self.head_writes(by_head, by_head, by_head).sum(2)
        if self.config.biases:
            stream = stream + self.b_O
        return stream + self.mlp_write(stream)

    def _projected(self, stream: Tensor, part: str) -> Tensor:
        normed = self.norm_attention(stream) if self.config.norm else stream
        projected = torch.einsum("bphm,hmd->bphd", normed, getattr(self, f"W_{part}"))
        return projected + getattr(self, f"b_{part}") if self.config.biases else projected


class SmallTransformer(nn.Module):
    """A transformer of a `SmallConfig`; random weights until they are trained, set or loaded."""

    W_E: Float[Tensor, "token d_model"]
    W_pos: Float[Tensor, "position d_model"]
    W_U: Float[Tensor, "d_model output"]
    b_U: Float[Tensor, " output"]
    norm_final: nn.LayerNorm

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        self.config = config
        self.W_E = drawn(config.d_vocab, config.d_model, fan_in=config.d_model)
        self.W_pos = drawn(config.n_positions, config.d_model, fan_in=config.d_model)
        self.blocks = nn.ModuleList(SmallBlock(config) for _ in range(config.n_layers))
        self.W_U = drawn(config.d_model, config.d_vocab_out, fan_in=config.d_model)
        if config.biases:
            self.b_U = nn.Parameter(torch.zeros(config.d_vocab_out))
        if config.norm:
            self.norm_final = nn.LayerNorm(config.d_model, eps=NORM_EPSILON)

    @property
    def layers(self) -> list[SmallBlock]:
        """Returns the blocks, in order."""
        return [block for block in self.blocks if isinstance(block, SmallBlock)]

    def embed(self, tokens: Int[Tensor, "batch position"]) -> Float[Tensor, "batch position d_model"]:
        """Returns the token embeddings; raises ModelError where the tokens do not fit the model."""
        if tokens.shape[1] > self.config.n_positions:
            raise ModelError(
                f"this small model has {self.config.n_positions} positions, got {tokens.shape[1]} tokens; shorten them"
            )
        return self.W_E[tokens]

    def positions(self, count: int) -> Float[Tensor, "position d_model"]:
        """Returns the positional embeddings of the first positions."""
        return self.W_pos[:count]

    def unembed(self, stream: Float[Tensor, "batch position d_model"]) -> Float[Tensor, "batch position token"]:
        """Returns the logits of final residual streams."""
        normed = self.norm_final(stream) if self.config.norm else stream
        logits = normed @ self.W_U
        return logits + self.b_U if self.config.biases else logits

    def forward(self, tokens: Int[Tensor, "batch position"]) -> Float[Tensor, "batch position token"]:
        """Returns the logits at every position."""
        stream = self.embed(tokens) + self.positions(tokens.shape[1])
        for block in self.blocks:
            stream = block(stream)
        return self.unembed(stream)


def drawn(*shape: int, fan_in: int) -> nn.Parameter:
    """Returns normal random weights of variance 1/fan_in, by torch's global generator."""
    return nn.Parameter(torch.randn(*shape) / math.sqrt(fan_in))
