"""Every architecture with every kind of dictionary, against the frozen model computed independently."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from circuitbase.graph.edge_blocks import all_edges
from circuitbase.graph.trace import DictionaryIdentity
from circuitbase.tracing.activations import Activation, JumpRelu, Relu, TopK
from circuitbase.tracing.assembly import assemble
from circuitbase.tracing.attribution import rows_and_left_out, trace
from circuitbase.tracing.dictionaries import Dictionary, LayerDictionary
from circuitbase.tracing.dtypes import DType
from circuitbase.tracing.frozen import freeze
from circuitbase.tracing.hooks import Hook
from circuitbase.tracing.models import TracedModel, load_model
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.outputs import chosen_outputs
from circuitbase.tracing.preparation import prepare
from circuitbase.tracing.replacement import fired_in
from circuitbase.tracing.rows import ResidentRows
from circuitbase.tracing.run import run_prompts
from tests.tiny_configs import PECULIAR
from tests.tiny_models import write_tiny_model
from tests.tracing.frozen_reference import FrozenReference
from tests.tracing.random_dictionaries import random_dictionary

TOKENS = (0, 5, 9, 4, 28, 12)
N_LAYERS, D_MODEL = 3, 16
WHOLE = TraceOptions(prune=False, output_probability=0.5, max_outputs=3, dtype="float64")
MODELS = [
    *(pytest.param(architecture, {}, id=architecture) for architecture in PECULIAR),
    pytest.param("GPTNeoXForCausalLM", {"use_parallel_residual": False}, id="GPTNeoXForCausalLM-sequential"),
]
# name -> how the dictionary is made, where it reads and writes, and whether only positive ones of a TopK count
KINDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "jumprelu": ({}, "mlp.hook_in", "mlp.hook_out"),
    "relu-skip": ({"activation": "relu", "skip": True}, "hook_resid_mid", "mlp.hook_out"),
    "topk": ({"activation": "topk"}, "mlp.hook_in", "hook_mlp_out"),
    "normalized-skip": ({"skip": True}, "ln2.hook_normalized", "hook_mlp_out"),
    "cross-layer": ({"cross_layer": True}, "hook_resid_mid", "hook_mlp_out"),
    "cross-layer-skip": ({"cross_layer": True, "skip": True}, "mlp.hook_in", "mlp.hook_out"),
    "mlp-sae": ({}, "mlp.hook_out", "mlp.hook_out"),
    "mlp-write-sae": ({}, "hook_mlp_out", "hook_mlp_out"),
    "head-value-sae": ({}, "attn.hook_z", "attn.hook_z"),
    "attention-sae": ({}, "attn.hook_out", "attn.hook_out"),
    "attention-write-sae": ({}, "hook_attn_out", "hook_attn_out"),
}
K = 4


def tensors(kind: str, architecture: str) -> tuple[list[dict[str, Tensor]], str, str]:
    described, reads, writes = KINDS[kind]
    if architecture == "Olmo2ForCausalLM" and reads == "ln2.hook_normalized":
        reads = "mlp.hook_in"  # it has no such norm
    width = 4 * PECULIAR[architecture].get("head_dim", 4) if kind == "head-value-sae" else D_MODEL
    return random_dictionary(N_LAYERS, width=width, **described), reads, writes


def dictionary(
    layers: list[dict[str, Tensor]], reads: str, writes: str, *, model: TracedModel, dtype: DType
) -> Dictionary:
    """The dictionary as the tracer takes it, made without a file."""
    return Dictionary(
        identity=DictionaryIdentity(
            name="tc",
            digest="0" * 64,
            model=model.identity.id,
            kind="transcoder_set",
            site="mlp",
            activation="any",
            n_features=len(layers[0]["b_enc"]),
        ),
        reads=Hook(reads),
        writes=Hook(writes),
        layers=tuple(layer_dictionary({n: a.to(getattr(torch, dtype)) for n, a in each.items()}) for each in layers),
        dtype=dtype,
        device="cpu",
    )


def layer_dictionary(arrays: dict[str, Tensor]) -> LayerDictionary:
    W_dec = arrays["W_dec"]
    slots = [W_dec] if W_dec.ndim == 2 else list(W_dec.unbind(1))
    activation: Activation = TopK(K, positive=False)
    if "threshold" in arrays:
        activation = JumpRelu(arrays["threshold"])
    elif "relu" in arrays:
        activation = Relu()
    return LayerDictionary(
        W_enc=ResidentRows(arrays["W_enc"]),
        W_dec=tuple(ResidentRows(slot.contiguous()) for slot in slots),
        b_enc=arrays["b_enc"],
        b_dec=arrays["b_dec"],
        activation=activation,
        W_skip=arrays.get("W_skip"),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("architecture", "settings"), MODELS)
def test_edges_biases_and_accounts_are_exact(
    architecture: str, settings: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    folder = write_tiny_model(
        tmp_path / "model", architecture=architecture, n_layers=N_LAYERS, d_model=D_MODEL, settings=settings
    )
    layers, reads, writes = tensors(kind, architecture)
    relu = KINDS[kind][0].get("activation") == "relu"
    made = [{**each, "relu": torch.ones(1)} if relu else each for each in layers]
    model = load_model(folder, dtype="float64")
    features = dictionary(made, reads, writes, model=model, dtype="float64")
    read = model.tokenizer.read(list(TOKENS))
    (run,) = run_prompts(model, [read])
    frozen = freeze(model, features, run)
    (fired,) = fired_in(features, [frozen], [run])
    outputs = chosen_outputs(model, run, options=WHOLE, targets=())
    prepared = prepare(features, read, run=run, frozen=frozen, fired=fired, outputs=outputs, silent=())
    rows, left_out = rows_and_left_out(prepared, WHOLE, block_numbers=600)
    assembled = assemble(prepared.nodes, rows, prepared.layers, left_out=left_out, options=WHOLE)
    assert assembled.scores.account_violation <= 1e-11

    k = K if KINDS[kind][0].get("activation") == "topk" else None
    reference = FrozenReference(folder, layers, TOKENS, reads=reads, writes=writes, k=k)
    expected, bias = reference.edges(assembled.graph), reference.bias_effects(assembled.graph)
    found, edges = np.zeros_like(expected), all_edges(rows.blocks)
    found[edges.target, edges.source] = edges.weight
    assert np.abs(found - expected).max() <= 1e-8 * np.abs(expected).max()
    targets = prepared.nodes.is_target
    assert np.abs(rows.bias_effect - bias)[targets].max() <= 1e-8 * np.abs(bias[targets]).max()
    assert (prepared.nodes.kind == 1).sum() > 5

    in_single = load_model(folder)
    single = trace(
        in_single,
        dictionary(made, reads, writes, model=in_single, dtype="float32"),
        read,
        replace(WHOLE, dtype="float32"),
    )
    assert single.metadata.scores.account_violation <= 1e-5
