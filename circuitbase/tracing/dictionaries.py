"""Dictionaries as they are traced: per layer, what each feature reads, when it fires and what it writes."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from circuitbase.errors import InputError, ModelError
from circuitbase.graph.trace import DictionaryIdentity
from circuitbase.tracing.activations import Activation, JumpRelu, Relu, TopK
from circuitbase.tracing.architectures import architecture
from circuitbase.tracing.hooks import Hook
from circuitbase.tracing.identities import located_dictionary
from circuitbase.tracing.models import DTYPES, TracedModel, checked_device
from circuitbase.tracing.options import DType
from circuitbase.tracing.rows import ResidentRows, Rows
from circuitbase.tracing.transcoder_set import THRESHOLD, TranscoderSet


@dataclass(frozen=True)
class Firing:
    """The active features (a ≠ 0) of a prompt in one layer, sorted by position and feature."""

    position: Int[Tensor, " active"]
    feature: Int[Tensor, " active"]
    activation: Float[Tensor, " active"]


@dataclass(frozen=True)
class LayerDictionary:
    """One layer: `z = W_enc·r + b_enc`, `a = act(z)`; features write `Σ_f a_f W_dec[f]`.

    `W_dec[j]` holds what the features write into layer l + j: one matrix, or for a cross-layer
    transcoder one for every layer from its own on. `b_dec` and `W_skip·r` ([out, in]) are written
    into the layer itself, whatever fires. Every format is brought into this form when it is read.
    """

    W_enc: Rows
    W_dec: tuple[Rows, ...]
    b_enc: Float[Tensor, " feature"]
    b_dec: Float[Tensor, " d_write"]
    activation: Activation
    W_skip: Float[Tensor, "d_write d_read"] | None = None

    def fired(self, r: Float[Tensor, "position d_read"]) -> Firing:
        """Returns which features fire on what is read at each position, and how much."""
        activations = self.activation(torch.cat([r @ part.T for part in self.W_enc.chunks()], dim=1) + self.b_enc)
        position, feature = torch.nonzero(activations, as_tuple=True)
        return Firing(position, feature, activations[position, feature])


@dataclass(frozen=True)
class Dictionary:
    """A dictionary for every layer of a model; all read at one point of their block and write at one.

    A transcoder reads before the MLP and writes its output; an SAE reads what it writes (`reads == writes`).
    """

    identity: DictionaryIdentity
    reads: Hook
    writes: Hook
    layers: tuple[LayerDictionary, ...]
    dtype: DType
    device: str


def load_dictionary(
    folder: str | Path,
    *,
    model: TracedModel,
    dtype: DType = "float32",
    device: str = "cpu",
    any_model_name: bool = False,
) -> Dictionary:
    """Returns the dictionary in a folder or at a hub id, checked to be one for `model`.

    Raises ModelError for a dictionary that cannot be used or was made for another model;
    `any_model_name` leaves the model name it gives out of that.
    """
    found, identity = located_dictionary(folder, model=model.identity, any_model_name=any_model_name)
    place = checked_device(device)
    return Dictionary(
        identity=identity,
        reads=_read_hook(found, model),
        writes=Hook(found.writes),
        layers=tuple(_layer(path, found, dtype=DTYPES[dtype], device=place) for path in found.layer_files),
        dtype=dtype,
        device=str(place),
    )


def check_fits(model: TracedModel, dictionary: Dictionary, *, dtype: DType) -> None:
    """Raises InputError if a loaded model and dictionary cannot be traced together in `dtype`."""
    if dictionary.identity.model != model.identity.id:
        raise InputError(
            f"the dictionary was loaded for the model {dictionary.identity.model}, but the model to trace is "
            f"{model.identity.id}; load it for this one"
        )
    for what, loaded in (("model", model.dtype), ("dictionary", dictionary.dtype)):
        if loaded != dtype:
            raise InputError(f"the {what} must be loaded in the dtype of the options, {dtype}, got {loaded}")
    if model.device != dictionary.device:
        raise InputError(f"model and dictionary must be on one device, got {model.device} and {dictionary.device}")


def _read_hook(found: TranscoderSet, model: TracedModel) -> Hook:
    hook = Hook(found.reads)
    if hook != Hook.MLP_NORMALIZED:
        return hook
    before_weight = architecture(model.identity.architecture).norm == "rms" or (found.lens_version or 0) >= 3
    return Hook.MLP_NORMALIZED if before_weight else Hook.MLP_INPUT


def _layer(path: Path, found: TranscoderSet, *, dtype: torch.dtype, device: torch.device) -> LayerDictionary:
    try:
        arrays = {name: array.to(device=device, dtype=dtype) for name, array in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read ({error}); fetch it again") from error
    broken = sorted(name for name, array in arrays.items() if not torch.isfinite(array).all())
    if broken:
        raise ModelError(f"{path} must hold finite numbers, but {broken[0]} has others; train the dictionary again")
    return LayerDictionary(
        W_enc=ResidentRows(arrays["W_enc"]),
        W_dec=(ResidentRows(arrays["W_dec"]),),
        b_enc=arrays["b_enc"],
        b_dec=arrays["b_dec"],
        activation=_activation(arrays.get(THRESHOLD), found.k),
        W_skip=arrays.get("W_skip"),
    )


def _activation(threshold: Tensor | None, k: int | None) -> Activation:
    if threshold is not None:
        return JumpRelu(threshold)
    return Relu() if k is None else TopK(k, positive=False)
