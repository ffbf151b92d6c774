"""Edges of a model small enough to compute by hand: one layer, attention that writes nothing but its bias."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.options import RoleTarget
from tests.tracing.cases import WHOLE, Case, loaded

TOKENS = [0, 3, 4]  # <bos> and two words
EMBEDDING = {0: [0.0, 0.0, 0.0, 0.0], 3: [3.0, 1.0, -1.0, -3.0], 4: [2.0, -1.0, 0.0, -1.0]}
W_ENC = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]
W_DEC = [[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]]


def write_by_hand(folder: Path) -> None:
    """Writes a one-layer model: no positions, plain norms, b_O = (0, 0, 0, 4), an MLP that writes (0, 4, 0, 0)."""
    Case(activation="relu", n_layers=1, n_heads=1).write(folder)
    path = folder / "tiny" / "model" / "model.safetensors"
    weights = load_file(path)
    for name, array in weights.items():
        array[...] = 1.0 if ".ln_" in name and name.endswith("weight") else 0.0
    for token, row in EMBEDDING.items():
        weights["transformer.wte.weight"][token, :4] = row
    weights["transformer.h.0.attn.c_proj.bias"][3] = 4.0
    weights["transformer.h.0.mlp.c_proj.bias"][1] = 4.0
    save_file(weights, path, metadata={"format": "pt"})
    config = json.loads((folder / "tiny" / "model" / "config.json").read_text())
    assert config["layer_norm_epsilon"] == 1e-5
    path = folder / "tiny" / "transcoders" / "layer_0.safetensors"
    arrays = {name: np.zeros_like(array) for name, array in load_file(path).items()}
    arrays["W_enc"][:2, :4], arrays["W_dec"][:2, :4], arrays["b_dec"][0] = W_ENC, W_DEC, 0.5
    save_file(arrays, path)


def sigma(x: list[float]) -> float:
    """Returns the norm's denominator of a vector of width 16 that is 0 behind the four numbers given."""
    mean = sum(x) / 16
    return ((sum((value - mean) ** 2 for value in x) + (16 - len(x)) * mean**2) / 16 + 1e-5) ** 0.5


def test_one_layer_without_attention_gives_the_edges_computed_by_hand(tmp_path: Path) -> None:
    write_by_hand(tmp_path)
    trace = loaded(tmp_path).trace(replace(WHOLE, target="roles"), prompt=TOKENS, roles=(RoleTarget("a-b", 3, 4),))
    graph = trace.graph

    # position 1: before the MLP the stream is (3, 1, -1, 1) after adding b_O; its mean is 4/16
    s1 = sigma([3.0, 1.0, -1.0, 1.0])
    features = graph.node_kind == NodeKind.FEATURE
    # position 2: (2, -1, 0, 3), so that only the first feature is positive; both are at position 1
    s2 = sigma([2.0, -1.0, 0.0, 3.0])
    assert list(zip(graph.node_position[features].tolist(), graph.node_unit[features].tolist(), strict=True)) == [
        (1, 0),
        (1, 1),
        (2, 0),
    ]
    expected = [(3 - 0.25) / s1, (1 - 0.25) / s1, (2 - 0.25) / s2]
    assert graph.node_activation[features] == pytest.approx(expected, rel=1e-6)

    # token 3 has mean 0, so it gives 3/σ and 1/σ; b_O has mean 4/16, so it takes 0.25/σ from every read
    weight = {
        (int(s), int(t)): float(w)
        for s, t, w in zip(graph.edge_source, graph.edge_target, graph.edge_weight, strict=True)
    }
    first, second, third = np.flatnonzero(features).tolist()
    assert weight[(1, first)] == pytest.approx(3 / s1)
    assert weight[(1, second)] == pytest.approx(1 / s1)
    assert weight[(2, third)] == pytest.approx(2 / s2)
    assert graph.node_bias_effect[[first, second]] == pytest.approx([-0.25 / s1] * 2)
    assert graph.node_bias_effect[third] == pytest.approx(-0.25 / s2)

    # the output reads (3, 1, -1, -3) - (2, -1, 0, -1) = (1, 2, -1, -2) at the last position, where (2, 3, 0, 3) stands
    last = graph.n_nodes - 1
    s3 = sigma([2.0, 3.0, 0.0, 3.0])
    assert weight[(2, last)] == pytest.approx(2 / s3)
    assert weight[(third, last)] == pytest.approx(expected[2] * 2 * 2 / s3)  # a · W_dec · read
    error = int(np.flatnonzero((graph.node_kind == NodeKind.LAYER_ERROR) & (graph.node_position == 2))[0])
    # y - a · W_dec - b_dec = (-0.5, 4 - 2a, 0, 0)
    assert weight[(error, last)] == pytest.approx((-0.5 + 2 * (4 - 2 * expected[2])) / s3)
    # b_O gives -2 · 4, b_dec 1 · 0.5
    assert graph.node_bias_effect[last] == pytest.approx((-8 + 0.5) / s3)
    assert set(weight) == {(1, first), (1, second), (2, third), (2, last), (third, last), (error, last)}


def test_attention_spreads_a_read_by_its_pattern(tmp_path: Path) -> None:
    """With W_V = W_O = identity, no key or query and one head, every position attends evenly to those before it."""
    write_by_hand(tmp_path)
    path = tmp_path / "tiny" / "model" / "model.safetensors"
    weights = load_file(path)
    weights["transformer.h.0.attn.c_attn.weight"][:, 32:] = np.eye(16)
    weights["transformer.h.0.attn.c_proj.weight"][...] = np.eye(16)
    save_file(weights, path, metadata={"format": "pt"})
    graph = loaded(tmp_path).trace(WHOLE, prompt=TOKENS).graph
    weight = {
        (int(s), int(t)): float(w)
        for s, t, w in zip(graph.edge_source, graph.edge_target, graph.edge_weight, strict=True)
    }

    first, second = sigma(EMBEDDING[3]), sigma(EMBEDDING[4])
    # at position 2 a third of each norm's output arrives: (3, 1, -1, -3)/σ and (2, -1, 0, -1)/σ, and b_O
    stream = [
        a + b / (3 * first) + c / (3 * second) for a, b, c in zip(EMBEDDING[4], EMBEDDING[3], EMBEDDING[4], strict=True)
    ]
    stream[3] += 4
    s2 = sigma(stream)
    at_two = (graph.node_kind == NodeKind.FEATURE) & (graph.node_position == 2) & (graph.node_unit == 0)
    target = int(np.flatnonzero(at_two)[0])
    assert weight[(1, target)] == pytest.approx(3 / (3 * first) / s2)
    assert weight[(2, target)] == pytest.approx((2 + 2 / (3 * second)) / s2)
    assert graph.node_bias_effect[target] == pytest.approx(-0.25 / s2)
