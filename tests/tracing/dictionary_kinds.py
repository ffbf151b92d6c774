"""Every kind of dictionary that can be traced, of random numbers: as plain tensors and as the tracer takes it."""

from typing import Any

import torch
from torch import Tensor

from circuitbase.graph.trace import DictionaryIdentity
from circuitbase.tracing.activations import Activation, JumpRelu, Relu, TopK
from circuitbase.tracing.dictionaries import Dictionary, LayerDictionary
from circuitbase.tracing.dtypes import DType
from circuitbase.tracing.hooks import Hook
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.rows import ResidentRows
from tests.tiny_configs import PECULIAR
from tests.tracing.random_dictionaries import random_dictionary

D_MODEL = 16
# name -> how the dictionary is made, and the hooks where it reads and writes
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


def tensors(kind: str, architecture: str, *, n_layers: int, seed: int = 0) -> tuple[list[dict[str, Tensor]], str, str]:
    """Returns a dictionary's layers, as `FrozenReference` takes them, and the hooks it reads and writes at."""
    described, reads, writes = KINDS[kind]
    if architecture == "Olmo2ForCausalLM" and reads == "ln2.hook_normalized":
        reads = "mlp.hook_in"  # it has no such norm
    width = 4 * PECULIAR[architecture].get("head_dim", 4) if kind == "head-value-sae" else D_MODEL
    return random_dictionary(n_layers, width=width, seed=seed, **described), reads, writes


def top_k(kind: str) -> int | None:
    """Returns how many features of a kind are active at a position, None if that is not what decides."""
    return K if KINDS[kind][0].get("activation") == "topk" else None


def dictionary(
    kind: str, layers: list[dict[str, Tensor]], reads: str, writes: str, *, model: TracedModel, dtype: DType
) -> Dictionary:
    """Returns the dictionary as the tracer takes it, made without a file."""
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
        layers=tuple(_layer(kind, {name: a.to(getattr(torch, dtype)) for name, a in each.items()}) for each in layers),
        dtype=dtype,
        device="cpu",
    )


def _layer(kind: str, arrays: dict[str, Tensor]) -> LayerDictionary:
    W_dec, k = arrays["W_dec"], top_k(kind)
    slots = [W_dec] if W_dec.ndim == 2 else list(W_dec.unbind(1))
    activation: Activation = Relu() if k is None else TopK(k, positive=False)
    if "threshold" in arrays:
        activation = JumpRelu(arrays["threshold"])
    return LayerDictionary(
        W_enc=ResidentRows(arrays["W_enc"]),
        W_dec=tuple(ResidentRows(slot.contiguous()) for slot in slots),
        b_enc=arrays["b_enc"],
        b_dec=arrays["b_dec"],
        activation=activation,
        W_skip=arrays.get("W_skip"),
    )
