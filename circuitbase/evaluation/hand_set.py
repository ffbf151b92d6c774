"""Small transformers with weights set by hand, for which every edge's effect is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch

from circuitbase.evaluation.small_transformer import SmallConfig, SmallTransformer


@dataclass(frozen=True)
class HandSet:
    """A model set by hand, and what its tokens and residual directions are called."""

    model: SmallTransformer
    vocabulary: tuple[str, ...]
    directions: tuple[str, ...]
    multipliers: dict[str, float] = field(default_factory=dict)
    """Where the model is linear: the weight of each edge that has one."""


GATE_DIRECTIONS = ("is_on", "position0", "position1", "position2", "seen0", "seen1", "answer")
COLDNESS = 100.0  # score of the position a head looks at; the others get exp(-100) of its weight


def gate(kind: Literal["or", "and"], *, dtype: torch.dtype = torch.float32) -> HandSet:
    """Returns a model whose two heads each see one token, and whose MLP joins what they see.

    Tokens are [first, second, `read`], the first two `on` or `off`; the logit of output 0 at the last position is
    1 if the gate is open and 0 if not, that of output 1 always 0. Head 0 looks at the first token, head 1 at the
    second, both by position alone. With OR either head suffices (backup heads); AND needs both.
    """
    config = SmallConfig(
        n_layers=1, n_heads=2, d_model=len(GATE_DIRECTIONS), d_head=1, d_mlp=1, d_vocab=3, d_vocab_out=2,
        n_positions=3, causal=True, activation="relu", score_scale=1.0, biases=True,
    )  # fmt: skip
    model = zeroed(config)
    at = {name: place for place, name in enumerate(GATE_DIRECTIONS)}
    block = model.layers[0]
    model.W_E[1, at["is_on"]] = 1.0
    for position in range(3):
        model.W_pos[position, at[f"position{position}"]] = 1.0
    for head in range(2):
        block.W_Q[head, at["position2"], 0] = COLDNESS
        block.W_K[head, at[f"position{head}"], 0] = 1.0
        block.W_V[head, at["is_on"], 0] = 1.0
        block.W_O[head, 0, at[f"seen{head}"]] = 1.0
        # AND is relu(seen0 + seen1 - 1); OR is 1 - relu(1 - seen0 - seen1)
        block.W_in[at[f"seen{head}"], 0] = 1.0 if kind == "and" else -1.0
    block.b_in[0] = -1.0 if kind == "and" else 1.0
    block.W_out[0, at["answer"]] = 1.0 if kind == "and" else -1.0
    block.b_out[at["answer"]] = 0.0 if kind == "and" else 1.0
    model.W_U[at["answer"], 0] = 1.0
    return HandSet(model.to(dtype), ("off", "on", "read"), GATE_DIRECTIONS)


MULTIPLIERS = {
    "input->a0.h0<v>": 2.0, "input->a0.h1<v>": 0.5, "input->m0": 1.0, "a0.h0->m0": 0.25,
    "a0.h0->a1.h0<v>": 1.5, "m0->a1.h0<v>": -1.5, "input->a1.h1<v>": 3.0, "a0.h1->a1.h1<v>": 1.0,
    "m0->m1": 0.5, "a1.h1->m1": 0.125,
    "input->logits": 0.1, "a0.h1->logits": -1.0, "a1.h0->logits": 0.75, "m1->logits": 4.0,
}  # fmt: skip
"""The edges of the packaged linear model; all others carry nothing."""


def linear_model(multipliers: Mapping[str, float] = MULTIPLIERS, *, dtype: torch.dtype = torch.float32) -> HandSet:
    """Returns a model of 2 layers and 2 heads in which a source's write reaches a receiver times a multiplier.

    Token t embeds as the number t. Heads look at all positions alike and write the weighted sum of what their value
    input reads; MLPs write what they read, which must not be negative (ReLU): keep multipliers into MLPs, and into
    what MLPs read, at or above 0. Output 0 is the number that reaches the logits, output 1 is 0. On prompts of one
    repeated token everything is one number per component, so effects have a closed form (`linear_effects`).
    """
    names = ("input", "a0.h0", "a0.h1", "m0", "a1.h0", "a1.h1", "m1")
    config = SmallConfig(
        n_layers=2, n_heads=2, d_model=len(names), d_head=1, d_mlp=1, d_vocab=5, d_vocab_out=2, n_positions=2,
        causal=True, activation="relu", score_scale=1.0, biases=False,
    )  # fmt: skip
    model = zeroed(config)
    at = {name: place for place, name in enumerate(names)}
    model.W_E[:, at["input"]] = torch.arange(5.0)
    for layer, block in enumerate(model.layers):
        for head in range(2):
            block.W_O[head, 0, at[f"a{layer}.h{head}"]] = 1.0
        block.W_out[0, at[f"m{layer}"]] = 1.0
    for edge, multiplier in multipliers.items():
        source, _, receiver = edge.partition("->")
        if receiver == "logits":
            model.W_U[at[source], 0] = multiplier
        elif receiver.endswith("<v>"):
            model.layers[int(receiver[1])].W_V[int(receiver[4]), at[source], 0] = multiplier
        else:
            model.layers[int(receiver[1])].W_in[at[source], 0] = multiplier
    return HandSet(model.to(dtype), tuple("01234"), names, dict(multipliers))


def linear_effects(multipliers: Mapping[str, float], *, clean: float, corrupted: float) -> dict[str, float]:
    """Returns m(clean) − m(edge patched) of every edge with a multiplier, in closed form.

    With `gain[v]` the sum over paths from v to the logits and `size[u]` the sum over paths from the input to u, the
    edge u→v has the effect `(clean − corrupted) · size[u] · multiplier · gain[v]`.
    """
    edges: list[tuple[str, str, float]] = []
    for edge, weight in multipliers.items():
        source, _, reader = edge.replace("<v>", "").partition("->")
        edges.append((source, reader, weight))

    def size(node: str) -> float:
        return 1.0 if node == "input" else sum(w * size(source) for source, reader, w in edges if reader == node)

    def gain(node: str) -> float:
        return 1.0 if node == "logits" else sum(w * gain(reader) for source, reader, w in edges if source == node)

    difference = clean - corrupted
    effects = [difference * size(source) * weight * gain(reader) for source, reader, weight in edges]
    return dict(zip(multipliers, effects, strict=True))


def zeroed(config: SmallConfig) -> SmallTransformer:
    """Returns a frozen small transformer whose weights are all 0."""
    model = SmallTransformer(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.zero_()
    return model
