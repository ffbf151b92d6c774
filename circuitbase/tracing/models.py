"""Models as they are traced: the Hugging Face module, its parts, its identity and its tokenizer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from circuitbase.errors import InputError, ModelError
from circuitbase.graph.trace import ModelIdentity
from circuitbase.tracing.identities import located_model_identity
from circuitbase.tracing.locating import locate
from circuitbase.tracing.options import DType
from circuitbase.tracing.parts import Parts, model_parts
from circuitbase.tracing.tokenizing import PromptTokenizer

DTYPES: dict[DType, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class TracedModel:
    """A loaded model; `dtype` is what everything is computed in."""

    identity: ModelIdentity
    module: nn.Module
    parts: Parts
    tokenizer: PromptTokenizer
    dtype: DType
    device: str


def load_model(folder: str | Path, *, dtype: DType = "float32", device: str = "cpu") -> TracedModel:
    """Returns the model in a folder or at a hub id, with its safetensors weights in `dtype` on `device`.

    Raises ModelError if it cannot be loaded whole, InputError for a device that is not there.
    """
    place = checked_device(device)
    located = locate(folder, what="model")
    identity = located_model_identity(located)
    from transformers import AutoModelForCausalLM  # seconds, which a wrong folder need not wait for

    try:
        with _quiet():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                located.folder,
                local_files_only=True,
                use_safetensors=True,
                attn_implementation="eager",  # the others do not return attention patterns
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"the model in {located.folder} cannot be loaded ({reason}); save it again") from error
    module, loading = loaded
    missing = sorted(loading["missing_keys"])
    if missing:
        raise ModelError(
            f"the weights in {located.folder} should fill the whole model, but lack {', '.join(missing[:3])} "
            f"({len(missing)} in all); save the model again"
        )
    module = module.to(device=place, dtype=DTYPES[dtype]).eval().requires_grad_(False)
    return TracedModel(
        identity=identity,
        module=module,
        parts=model_parts(module, architecture_name=identity.architecture),
        tokenizer=PromptTokenizer(located.folder),
        dtype=dtype,
        device=str(place),
    )


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
    return place


def _no_such_device(device: str, reason: str) -> InputError:
    return InputError(f"the device must be one of this machine's, such as cpu or cuda:0, got {device} ({reason})")
