"""Each operation's derivative against finite differences, in double precision."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from circuitbase.tracing.components.component_model import ComponentModel, Embedding
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.components.component_outputs import component_outputs
from circuitbase.tracing.components.derivatives import (
    at_heads,
    at_neurons,
    at_stream,
    pushed_to_heads,
    through_neurons,
)
from circuitbase.tracing.components.layers import AttentionLayer, HeadNorm, MlpLayer, Scoring
from circuitbase.tracing.components.norms import (
    normed,
    normed_heads,
    pulled,
    pushed,
    pushed_heads,
    shaped_over,
    unshaped_over,
)
from circuitbase.tracing.components.seen import SeenLayer, SeenPrompt, seen_prompt
from circuitbase.tracing.parts import Norm
from circuitbase.tracing.targets import RoleTarget

STEP = 1e-5
D_MODEL, N_HEADS, D_HEAD, N_POSITIONS, N_NEURONS = 6, 4, 4, 5, 7


@pytest.fixture(autouse=True)
def double_precision() -> None:
    torch.manual_seed(0)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def difference(of: Callable[[Tensor], Tensor], x: Tensor, along: Tensor) -> Tensor:
    """The derivative of `of` at x along a direction, by central differences."""
    return (of(x + STEP * along) - of(x - STEP * along)) / (2 * STEP)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


def norm(kind: str) -> Norm | None:
    if kind == "none":
        return None
    bias = random(D_MODEL) if kind == "layer" else None
    return Norm(nn.Identity(), 1 + 0.3 * random(D_MODEL), bias, 1e-5, centred=kind == "layer")


@pytest.mark.parametrize("kind", ["none", "rms", "layer"])
def test_a_norm_is_pushed_and_pulled_by_its_derivative(kind: str) -> None:
    given, x, rows = norm(kind), random(N_POSITIONS, D_MODEL), random(3, N_POSITIONS, D_MODEL)
    found = pushed(given, rows, x)
    for row, change in zip(rows, found, strict=True):
        close(change, difference(lambda each: normed(given, each), x, row))
    reads = random(N_POSITIONS, 2, D_MODEL)
    back = pulled(given, reads, x)
    # ⟨read, J row⟩ = ⟨Jᵀ read, row⟩
    close(torch.einsum("prd,npd->npr", reads, found), torch.einsum("prd,npd->npr", back, rows))


@pytest.mark.parametrize("kind", ["rms", "layer"])
def test_the_share_of_a_write_behind_a_norm_and_its_transpose(kind: str) -> None:
    given, whole, write, read = norm(kind), random(3, D_MODEL), random(3, D_MODEL), random(3, D_MODEL)
    assert given is not None
    close((shaped_over(given, write, whole) * read).sum(-1), (write * unshaped_over(given, read, whole)).sum(-1))


@pytest.mark.parametrize("joint", [False, True])
def test_a_norm_of_queries_is_pushed_by_its_derivative(joint: bool) -> None:
    weight = 1 + 0.3 * (random(N_HEADS, D_HEAD) if joint else random(D_HEAD))
    given, x = HeadNorm(weight, 1e-5, joint), random(N_POSITIONS, N_HEADS, D_HEAD)
    rows = random(3, N_POSITIONS, N_HEADS, D_HEAD)
    for row, change in zip(rows, pushed_heads(given, rows, x), strict=True):
        close(change, difference(lambda each: normed_heads(given, each[None])[0], x, row))


def rotations(n_positions: int) -> tuple[Tensor, Tensor]:
    angle = torch.arange(n_positions, dtype=torch.float64)[:, None] * torch.tensor([1.0, 0.3], dtype=torch.float64)
    return torch.cat([angle.cos()] * 2, -1), torch.cat([angle.sin()] * 2, -1)


def scoring(kind: str) -> Scoring:
    plain = Scoring(scale=0.7)
    match kind:
        case "soft cap":
            return replace(plain, soft_cap=0.8)
        case "rotations":
            return replace(plain, rotations=rotations)
        case "window":
            return replace(plain, window=2)
        case "no mask":
            return replace(plain, causal=False)
        case "norms":
            each, joint = HeadNorm(1 + 0.3 * random(D_HEAD), 1e-5, False), HeadNorm(random(N_HEADS, D_HEAD), 1e-5, True)
            return replace(plain, query_norm=each, key_norm=joint)
    return plain


def attention(kind: str = "plain", *, norms: str = "rms") -> AttentionLayer:
    groups = N_HEADS // 2
    return AttentionLayer(
        norm=norm(norms),
        post_norm=norm(norms),
        W_Q=random(N_HEADS, D_MODEL, D_HEAD),
        b_Q=random(N_HEADS, D_HEAD),
        W_K=random(groups, D_MODEL, D_HEAD),
        b_K=random(groups, D_HEAD),
        W_V=random(groups, D_MODEL, D_HEAD),
        b_V=random(groups, D_HEAD),
        W_O=random(N_HEADS, D_HEAD, D_MODEL),
        b_O=random(D_MODEL),
        scoring=scoring(kind),
    )


def mlp(*, gated: bool = False, norms: str = "rms", activation: Any = torch.tanh) -> MlpLayer:
    return MlpLayer(
        norm=norm(norms),
        post_norm=norm(norms),
        activation=activation,
        W_in=random(D_MODEL, N_NEURONS),
        b_in=random(N_NEURONS),
        W_gate=random(D_MODEL, N_NEURONS) if gated else None,
        b_gate=random(N_NEURONS) if gated else None,
        W_out=random(N_NEURONS, D_MODEL),
        b_out=random(D_MODEL),
    )


def seen(layer: AttentionLayer, after: MlpLayer, x: Tensor, *, logit_cap: float | None = None) -> SeenPrompt:
    return seen_prompt(model(layer, after, x, logit_cap=logit_cap), torch.arange(len(x)))


def model(layer: AttentionLayer, after: MlpLayer, x: Tensor, *, logit_cap: float | None) -> ComponentModel:
    return ComponentModel(
        embedded=lambda _: Embedding(x[None], torch.zeros_like(x[None])),
        attention=(layer,),
        mlps=(after,),
        final_norm=norm("layer"),
        W_U=random(9, D_MODEL),
        b_U=random(9),
        logit_cap=logit_cap,
    )


SCORINGS = ("plain", "soft cap", "rotations", "window", "no mask", "norms")


@pytest.mark.parametrize("kind", SCORINGS)
def test_queries_keys_and_values_are_pushed_by_their_derivatives(kind: str) -> None:
    layer, x, rows = attention(kind), random(N_POSITIONS, D_MODEL), random(3, N_POSITIONS, D_MODEL)
    found = pushed_to_heads(layer, x, rows)
    for place, row in enumerate(rows):
        close(found.queries[place], difference(lambda y: layer.rotated_queries(layer.queries(y[None]))[0], x, row))
        close(found.keys[place], difference(lambda y: layer.rotated_keys(layer.keys(y[None]))[0], x, row))
        close(found.values[place], difference(lambda y: layer.values(y[None])[0], x, row))


@pytest.mark.parametrize("norms", ["none", "rms", "layer"])
@pytest.mark.parametrize("kind", SCORINGS)
def test_attention_is_followed_down_by_its_derivative(kind: str, norms: str) -> None:
    layer, x, gradient = attention(kind, norms=norms), random(N_POSITIONS, D_MODEL), random(N_POSITIONS, D_MODEL)
    at: SeenLayer = seen(layer, mlp(), x).layers[0]
    found = at_stream(layer, at, at_heads(layer, at, gradient, kept=torch.ones(N_POSITIONS, N_HEADS, dtype=torch.bool)))

    def written(y: Tensor) -> Tensor:
        mixed = layer.attended(layer.queries(y[None]), layer.keys(y[None]), layer.values(y[None])).mixed
        return (layer.written(mixed)[0] * gradient).sum()

    for row in random(4, N_POSITIONS, D_MODEL):
        close((found * row).sum(), difference(written, x, row))


def test_the_gradient_at_scores_sums_to_0_over_the_keys_of_a_query() -> None:
    layer, x = attention(), random(N_POSITIONS, D_MODEL)
    at = seen(layer, mlp(), x).layers[0]
    kept = torch.ones(N_POSITIONS, N_HEADS, dtype=torch.bool)
    found = at_heads(layer, at, random(N_POSITIONS, D_MODEL), kept=kept).scores
    close(found.sum(-1), torch.zeros(N_HEADS, N_POSITIONS, dtype=torch.float64))


@pytest.mark.parametrize("activation", [torch.tanh, torch.nn.functional.gelu, torch.nn.functional.silu])
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("norms", ["none", "rms", "layer"])
def test_an_mlp_is_followed_down_by_its_derivative(norms: str, gated: bool, activation: Any) -> None:
    layer, x = mlp(gated=gated, norms=norms, activation=activation), random(N_POSITIONS, D_MODEL)
    gradient = random(N_POSITIONS, D_MODEL)
    behind = through_neurons(layer, x, at_neurons(layer, layer.neurons(x), gradient))
    found = pulled(layer.norm, behind[:, None], x)[:, 0]
    for row in random(4, N_POSITIONS, D_MODEL):
        close((found * row).sum(), difference(lambda y: (layer.written(y) * gradient).sum(), x, row))


@pytest.mark.parametrize("logit_cap", [None, 1.5])
def test_an_output_is_read_by_its_derivative(logit_cap: float | None) -> None:
    x = random(N_POSITIONS, D_MODEL)
    given = model(attention(), mlp(), x, logit_cap=logit_cap)
    prompt = seen_prompt(given, torch.arange(N_POSITIONS))
    options = ComponentOptions(target="roles", dtype="float64")
    for minus in (None, 5):
        ((_, end),) = component_outputs(
            given, prompt, options=options, targets=(RoleTarget("answer", 3, minus),), token_string=str
        )

        def read(y: Tensor, minus: int | None = minus) -> Tensor:
            logits = given.logits(y)
            return logits[3] - (logits.mean() if minus is None else logits[minus])

        for row in random(4, D_MODEL):
            close(end.gradient @ row, difference(read, prompt.final[-1], row))
