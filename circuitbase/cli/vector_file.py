"""A vector in a file, whatever wrote it: a residual direction that a trace is asked to end in."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from circuitbase.errors import InputError
from circuitbase.tracing.locating import plain_name

SUFFIXES = (".npy", ".safetensors", ".json")


@dataclass(frozen=True)
class Vector:
    """Numbers, and the file's name without its ending, in which odd characters are `-`."""

    name: str
    numbers: tuple[float, ...]


def read_vector(file: str) -> Vector:
    """Returns the vector in a .npy, .safetensors (of one tensor) or .json file; raises InputError for another."""
    path = Path(file).expanduser()
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"{path} should be a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file with a vector; convert it"
        )
    try:
        found = {".npy": _npy, ".safetensors": _safetensors, ".json": _json}[path.suffix](path)
    except InputError:
        raise
    except Exception as error:  # each reader raises what it likes for a file that is none of its own
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{path} should hold a vector, but cannot be read ({reason[0]}); write it again") from error
    if found.ndim != 1 or found.dtype.kind not in "fiu":
        raise InputError(
            f"{path} should hold a vector of numbers, but holds {found.dtype} of shape {list(found.shape)}; write one"
        )
    return Vector(plain_name(path.stem), tuple(float(number) for number in found))


def _npy(path: Path) -> Any:
    import numpy as np

    return np.load(path, allow_pickle=False)


def _safetensors(path: Path) -> Any:
    from safetensors.numpy import load_file

    tensors = load_file(path)
    if len(tensors) != 1:
        names = ", ".join(sorted(tensors)) or "none"
        raise InputError(
            f"{path} should hold one tensor, the vector, but holds {len(tensors)} ({names}); write it alone"
        )
    return next(iter(tensors.values()))


def _json(path: Path) -> Any:
    import numpy as np

    return np.asarray(json.loads(path.read_text(encoding="utf-8")))
