"""The shapes of a file's tensors, read from its header alone."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from circuitbase.errors import ModelError

Shape = tuple[int, ...]


def tensor_shapes(path: Path) -> dict[str, Shape]:
    """Returns the shape of every tensor in a .safetensors, .npz or .pt file; raises ModelError if it is none.

    Only a .pt file needs torch; it is read without running code.
    """
    match path.suffix:
        case ".npz":
            return _npz_shapes(path)
        case ".pt":
            from circuitbase.tracing.formats.tensors import open_tensors

            return {name: tuple(tensor.shape) for name, tensor in open_tensors(path).items()}
        case _:
            return _safetensors_shapes(path)


def _safetensors_shapes(path: Path) -> dict[str, Shape]:
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no dict
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} should be a safetensors file, but cannot be read ({error}); fetch it again"
        ) from error


def _npz_shapes(path: Path) -> dict[str, Shape]:
    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as file:
                    shapes[member.removesuffix(".npy")] = npy_header(file)[0]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} should be an npz file, but cannot be read ({error}); fetch it again") from error
    return shapes


def npy_header(file: Any) -> tuple[Shape, bool, np.dtype]:
    """Returns (shape, whether columns come first, dtype) and leaves an open file where its numbers begin."""
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in read:
        raise ValueError(f"version {version} of the npy format")
    shape, columns_first, dtype = read[version](file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return shape, columns_first, dtype
