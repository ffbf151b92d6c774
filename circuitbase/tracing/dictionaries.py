"""Dictionaries as they are traced: per layer, what each feature reads, when it fires and what it writes."""

from dataclasses import dataclass
from pathlib import Path

import torch

from circuitbase.errors import InputError, ModelError
from circuitbase.graph.trace import DictionaryIdentity
from circuitbase.tracing.activations import Firing
from circuitbase.tracing.formats.bringing import layer_dictionary
from circuitbase.tracing.hooks import Hook
from circuitbase.tracing.identities import located_dictionary
from circuitbase.tracing.layer_dictionary import LayerDictionary
from circuitbase.tracing.models import DTYPES, TracedModel, checked_device
from circuitbase.tracing.options import DType
from circuitbase.tracing.precision import HALF

__all__ = ["Dictionary", "Firing", "LayerDictionary", "check_fits", "load_dictionary"]

RESIDENT_BYTES = 2**30  # encoders and decoders up to this size are kept whole on the CPU
RESIDENT_SHARE = 0.5  # on a GPU: up to this share of its memory, used or not


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
    lazy: bool | None = None,
) -> Dictionary:
    """Returns the dictionary in a folder or at a hub id, checked to be one for `model`.

    A `lazy` dictionary's encoders and decoders stay in their files, and rows are read when they are
    asked for; None decides by size: resident on the CPU up to 1 GiB in `dtype`, on a GPU up to half
    its memory. Raises ModelError for a dictionary that cannot be used or was made for another model;
    `any_model_name` leaves the model name it gives out of that.
    """
    found = located_dictionary(folder, model=model.identity, any_model_name=any_model_name)
    place = checked_device(device)
    kept_in = DTYPES[dtype]
    wanted = torch.float32 if dtype in HALF else kept_in  # what is computed never is in half precision
    if found.reads == Hook.HEAD_VALUES:
        _check_head_width(found.stored.described.d_read, model)
    if lazy is None:
        lazy = found.stored.numbers * kept_in.itemsize > _resident_bytes(place)
    rule = found.stored.described.rule
    return Dictionary(
        identity=found.identity,
        reads=found.reads,
        writes=found.writes,
        layers=tuple(
            layer_dictionary(layer, rule, dtype=wanted, kept_in=kept_in, device=place, lazy=lazy)
            for layer in found.stored.layers
        ),
        dtype=dtype,
        device=str(place),
    )


def _resident_bytes(device: torch.device) -> int:
    if device.type != "cuda":
        return RESIDENT_BYTES
    return int(RESIDENT_SHARE * torch.cuda.get_device_properties(device).total_memory)


def _check_head_width(found: int, model: TracedModel) -> None:
    heads, d_head, _ = model.parts.blocks[0].attention.W_O.shape
    if found != heads * d_head:
        raise ModelError(
            f"the dictionary was made for another model: its width is {found}, that of the model's {heads} heads "
            f"together {heads * d_head}; give the dictionary that was trained on this model"
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
