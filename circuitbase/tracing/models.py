"""Models as they are traced: the Hugging Face module, its parts, its identity and its tokenizer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from circuitbase.errors import InputError, ModelError
from circuitbase.graph.trace import ModelIdentity
from circuitbase.tracing.adapters import model_parts
from circuitbase.tracing.double_precision import keep_norms_in_double_precision
from circuitbase.tracing.dtypes import DType
from circuitbase.tracing.identities import located_model_identity
from circuitbase.tracing.locating import locate
from circuitbase.tracing.parts import Parts
from circuitbase.tracing.tokenizing import PromptTokenizer

DTYPES: dict[DType, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class TracedModel:
    """A loaded model; `dtype` is what its weights are in, `device` where its input goes."""

    identity: ModelIdentity
    module: nn.Module
    parts: Parts
    tokenizer: PromptTokenizer
    dtype: DType
    device: str


def load_model(
    folder: str | Path,
    *,
    dtype: DType = "float32",
    device: str = "cpu",
    device_map: str | dict[str, int | str] | None = None,
    allow_pickle: bool = False,
) -> TracedModel:
    """Returns the model in a folder or at a hub id, with its weights in `dtype` on `device`.

    A `device_map` spreads it over several instead, as transformers does (`auto`, or module: device).
    Weights are read from safetensors; with `allow_pickle` also from torch's files, of which numbers
    alone are read. Raises ModelError if it cannot be loaded whole, InputError for a device that is
    not there.
    """
    if device_map is not None and find_spec("accelerate") is None:
        raise ModelError("a device_map needs the package accelerate; install circuitbase[trace], or give one device")
    place = checked_device(device) if device_map is None else None
    located = locate(folder, what="model", allow_pickle=allow_pickle)
    identity = located_model_identity(located, allow_pickle=allow_pickle)
    module = _loaded(located.folder, dtype=dtype, device_map=device_map, allow_pickle=allow_pickle)
    module = (module if place is None else module.to(place)).eval().requires_grad_(False)
    elsewhere = sorted(name for name, parameter in module.named_parameters() if parameter.is_meta)
    if elsewhere:
        raise InputError(
            f"the devices of a device_map must hold the whole model, but {elsewhere[0]} is on none of them "
            f"({len(elsewhere)} in all); give more devices, or a smaller dtype"
        )
    parts = model_parts(module, architecture_name=identity.architecture)
    if dtype == "float64":
        keep_norms_in_double_precision(parts)
    return TracedModel(
        identity=identity,
        module=module,
        parts=parts,
        tokenizer=PromptTokenizer(located.folder),
        dtype=dtype,
        device=str(module.device),
    )


def _loaded(folder: Path, *, dtype: DType, device_map: str | dict[str, int | str] | None, allow_pickle: bool) -> Any:
    import transformers  # seconds, which a wrong folder need not wait for

    renamed = tuple(int(part) for part in transformers.__version__.split(".")[:2]) >= (4, 56)
    try:
        with _quiet():
            loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=None if allow_pickle else True,
                device_map=device_map,
                attn_implementation="eager",  # the others do not return attention patterns
                output_loading_info=True,
                # here, for a later `to` would round the rotary frequencies too
                **{"dtype" if renamed else "torch_dtype": DTYPES[dtype]},
            )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError, UnpicklingError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"the model in {folder} cannot be loaded ({reason}); save it again") from error
    module, loading = loaded
    missing = sorted(loading["missing_keys"])
    if missing:
        raise ModelError(
            f"the weights in {folder} should fill the whole model, but lack {', '.join(missing[:3])} "
            f"({len(missing)} in all); save the model again"
        )
    return module


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers from drawing a progress bar of its own; loading is one step of ours."""
    from transformers.utils import logging

    enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            logging.enable_progress_bar()


def checked_device(device: str) -> torch.device:
    """Returns the torch device of that name; raises InputError if this machine has none or it lacks float64."""
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise _no_such_device(device, str(error).strip().splitlines()[0]) from error
    if place.type not in ("cpu", "cuda"):
        raise _no_such_device(device, "only these can be traced on")
    return torch.empty(0, device=place).device  # `cuda` is one of them, by its number


def _no_such_device(device: str, reason: str) -> InputError:
    return InputError(f"the device must be one of this machine's, such as cpu or cuda:0, got {device} ({reason})")
