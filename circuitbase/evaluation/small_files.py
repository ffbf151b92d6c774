"""A small transformer as one safetensors file: weights, its shape and what is known of it, and no pickle."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from circuitbase.errors import InputError, ModelError
from circuitbase.evaluation.small_transformer import SmallConfig, SmallTransformer

HEADER = "circuitbase.small-transformer"
"""Key of the header under which the JSON lies; one key only, as safetensors writes several in any order."""
EXAMPLE = "example."
"""What the names of arrays start with that are no weights."""


@dataclass(frozen=True)
class SmallFile:
    """What a file of a small transformer holds."""

    model: SmallTransformer
    facts: dict[str, Any] = field(default_factory=dict)
    """What is known of the model, as JSON: vocabulary, edges, how it was made."""
    arrays: dict[str, Tensor] = field(default_factory=dict)
    """Arrays beside the weights, such as inputs and the outputs that are expected of them."""


def save_small(
    model: SmallTransformer,
    path: Path,
    *,
    facts: Mapping[str, Any] | None = None,
    arrays: Mapping[str, Tensor] | None = None,
) -> None:
    """Writes a small transformer in float32, with `facts` in the header and `arrays` beside the weights."""
    tensors = {name: tensor.detach().float().contiguous() for name, tensor in model.state_dict().items()}
    tensors |= {EXAMPLE + name: tensor.detach().contiguous() for name, tensor in (arrays or {}).items()}
    header = {"config": asdict(model.config), "facts": dict(facts or {})}
    save_file(tensors, path, metadata={HEADER: json.dumps(header, sort_keys=True)})


def load_small(path: Path, *, dtype: torch.dtype = torch.float32) -> SmallFile:
    """Returns a small transformer, frozen, on the CPU; raises ModelError for a file that `save_small` did not write."""
    try:
        with safe_open(path, framework="pt") as opened:
            header = (opened.metadata() or {}).get(HEADER)
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # no mapping
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} should be a safetensors file of a small transformer: {error}") from error
    if header is None:
        raise ModelError(f"{path} should have {HEADER!r} in its header, as save_small writes it, and has not")
    known = json.loads(header)
    model = SmallTransformer(SmallConfig(**known["config"]))
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(EXAMPLE)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"{path} holds weights that its own config does not ask for: {error}") from error
    arrays = {name.removeprefix(EXAMPLE): tensor for name, tensor in tensors.items() if name.startswith(EXAMPLE)}
    return SmallFile(model=model.to(dtype).eval().requires_grad_(False), facts=known["facts"], arrays=arrays)


def packaged_models() -> dict[str, Path]:
    """Returns the files of the packaged small transformers by name, sorted."""
    folder = Path(str(files("circuitbase.evaluation"))) / "models"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def packaged_model(name: str, *, dtype: torch.dtype = torch.float32) -> SmallFile:
    """Returns a packaged small transformer; raises InputError that names the ones there are."""
    there = packaged_models()
    if name not in there:
        raise InputError(f"the packaged small model must be one of: {', '.join(there)}; got {name!r}")
    return load_small(there[name], dtype=dtype)
