"""The tensors of a file, mapped: nothing is read before it is used, and nothing is ever written."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.headers import npy_header

LOCAL_HEADER = 30  # bytes of a zip member's own header, before its name


def open_tensors(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a .safetensors, .npz or .pt file by name; raises ModelError if it is none.

    Numbers that a .pt file holds besides come as tensors without dimensions; what is nested is left out.
    """
    match path.suffix:
        case ".npz":
            return _from_npz(path)
        case ".pt":
            return _from_pt(path)
        case _:
            return _from_safetensors(path)


def _from_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read ({error}); fetch it again") from error


def _from_npz(path: Path) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                member.filename.removesuffix(".npy"): torch.from_numpy(_npz_array(path, archive, member))
                for member in archive.infolist()
            }
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} should be an npz file, but cannot be read ({error}); fetch it again") from error


def _npz_array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        shape, columns_first, dtype = npy_header(file)
        begin = file.tell()
        if member.compress_type != zipfile.ZIP_STORED or not shape:
            numbers = np.frombuffer(bytearray(file.read()), dtype=dtype)
            return numbers.reshape(shape, order="F" if columns_first else "C")
    with path.open("rb") as raw:  # the central directory does not say how long the local header is
        raw.seek(member.header_offset + LOCAL_HEADER - 4)
        lengths = np.frombuffer(raw.read(4), dtype="<u2")
    offset = member.header_offset + LOCAL_HEADER + int(lengths.sum()) + begin
    # "c": pages of its own when written to, as torch has no read-only tensors
    return np.memmap(path, dtype=dtype, mode="c", offset=offset, shape=shape, order="F" if columns_first else "C")


def _from_pt(path: Path) -> dict[str, Tensor]:
    found = load_pickled(path)
    return {
        str(name): torch.as_tensor(value)
        for name, value in found.items()
        if isinstance(value, Tensor | float | int) and not isinstance(value, bool)
    }


def load_pickled(path: Path) -> Mapping[str, Any]:
    """Returns the mapping in a file of `torch.save`, read without running code; raises ModelError for another."""
    try:
        mapped = zipfile.is_zipfile(path)  # torch before 1.6 wrote another container, which cannot be mapped
        with warnings.catch_warnings():  # what cannot be read is said in a sentence
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{path} should hold tensors alone, as torch.save writes them, but cannot be read ({reason}); "
            "save its state_dict again"
        ) from error
    if not isinstance(found, Mapping):
        raise ModelError(
            f"{path} should hold a mapping of names to tensors, but holds a {type(found).__name__}; save the "
            "dictionary's state_dict"
        )
    return found
