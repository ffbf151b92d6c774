"""Shapes of a layer's tensors, held against what its format says; a wrong one is named with what it should be."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.headers import Shape


def length(path: Path, shapes: Mapping[str, Shape], name: str) -> int:
    """Returns the length of a vector; raises ModelError if it has another number of dimensions."""
    if len(shapes[name]) != 1:
        raise ModelError(f"{path}: {name} must have one dimension, got {list(shapes[name])}")
    return shapes[name][0]


def check_names(
    path: Path, shapes: Mapping[str, Shape], *, layout: str, needed: Iterable[str], allowed: Iterable[str] = ()
) -> None:
    """Raises ModelError unless all needed tensors are there and no tensor is unknown."""
    needed = tuple(needed)
    if missing := [name for name in needed if name not in shapes]:
        raise ModelError(f"{path} should hold {', '.join(needed)}, but lacks {', '.join(missing)}; fetch it again")
    if unknown := sorted(set(shapes) - {*needed, *allowed}):
        raise ModelError(
            f"{path} holds {', '.join(unknown)}, which {layout} has no use for; if the dictionary is of another kind, "
            "it cannot be traced yet"
        )


def check_shapes(
    path: Path, shapes: Mapping[str, Shape], expected: Mapping[str, Shape], *, lengths_of: str, layout: str
) -> None:
    """Raises ModelError for a tensor, of those that are there, that has another shape than expected.

    `lengths_of` names the vectors that the expected shapes follow from.
    """
    for name, shape in expected.items():
        if name in shapes and shapes[name] != shape:
            transposed = " (it seems to be transposed)" if shapes[name] == shape[::-1] and len(shape) == 2 else ""
            raise ModelError(
                f"{path}: {name} must have the shape {list(shape)}, by the lengths of {lengths_of}, "
                f"got {list(shapes[name])}{transposed}; save it as {layout} does"
            )
