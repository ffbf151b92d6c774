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
from circuitbase.tracing.activations import jumprelu, relu, topk
from circuitbase.tracing.architectures import architecture
from circuitbase.tracing.identities import located_dictionary
from circuitbase.tracing.models import DTYPES, TracedModel, checked_device
from circuitbase.tracing.options import DType
from circuitbase.tracing.read_point import ReadPoint
from circuitbase.tracing.transcoder_set import THRESHOLD, TranscoderSet


@dataclass(frozen=True)
class LayerTranscoder:
    """`ŷ = Σ_f a_f W_dec[f] + b_dec + W_skip·r` with `a = act(W_enc·r + b_enc)`.

    Rows of `W_enc` and `W_dec` belong to features, `W_skip` is [out, in]. With a `threshold` the
    activation is JumpReLU, with `k` TopK, else ReLU.
    """

    W_enc: Float[Tensor, "feature d_model"]
    W_dec: Float[Tensor, "feature d_model"]
    b_enc: Float[Tensor, " feature"]
    b_dec: Float[Tensor, " d_model"]
    threshold: Float[Tensor, " feature"] | None = None
    k: int | None = None
    W_skip: Float[Tensor, "d_model d_model"] | None = None

    def encode(self, r: Float[Tensor, "position d_model"]) -> Float[Tensor, "position feature"]:
        """Returns the activation of every feature, 0 where it is silent."""
        z = torch.addmm(self.b_enc, r, self.W_enc.T)
        if self.threshold is not None:
            return jumprelu(z, self.threshold)
        return relu(z) if self.k is None else topk(z, self.k)

    def read_vectors(self, feature: Int[Tensor, " active"]) -> Float[Tensor, "active d_model"]:
        """Returns the encoder rows of some features."""
        return self.W_enc[feature]

    def write_vectors(self, feature: Int[Tensor, " active"]) -> Float[Tensor, "active d_model"]:
        """Returns the decoder rows of some features."""
        return self.W_dec[feature]


@dataclass(frozen=True)
class Dictionary:
    """A transcoder for every layer of a model; all of them read at the same point of their block."""

    identity: DictionaryIdentity
    read_point: ReadPoint
    layers: tuple[LayerTranscoder, ...]
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
        read_point=_read_point(found, model),
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


def _read_point(found: TranscoderSet, model: TracedModel) -> ReadPoint:
    if found.reads == "hook_resid_mid":
        return ReadPoint.RESIDUAL
    if found.reads == "mlp.hook_in":
        return ReadPoint.NORM_OUTPUT
    before_weight = architecture(model.identity.architecture).norm == "rms" or (found.lens_version or 0) >= 3
    return ReadPoint.NORMALIZED if before_weight else ReadPoint.NORM_OUTPUT


def _layer(path: Path, found: TranscoderSet, *, dtype: torch.dtype, device: torch.device) -> LayerTranscoder:
    try:
        arrays = {name: array.to(device=device, dtype=dtype) for name, array in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read ({error}); fetch it again") from error
    broken = sorted(name for name, array in arrays.items() if not torch.isfinite(array).all())
    if broken:
        raise ModelError(f"{path} must hold finite numbers, but {broken[0]} has others; train the dictionary again")
    return LayerTranscoder(
        W_enc=arrays["W_enc"],
        W_dec=arrays["W_dec"],
        b_enc=arrays["b_enc"],
        b_dec=arrays["b_dec"],
        threshold=arrays.get(THRESHOLD),
        k=found.k,
        W_skip=arrays.get("W_skip"),
    )
