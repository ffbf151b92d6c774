"""The restricted way into circuit-tracer's pickles: tensors, texts and numbers, and of its classes nothing but values.

The classes that its files name are met by stand-ins that only hold what is put into them; their library is never
imported, and any other class or function ends the reading before it is looked up.
"""

import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import fsspec

from circuitbase.errors import GraphFileError

_REFUSED = re.compile(r"GLOBAL (\S+)|[Uu]nsupported (?:class|global)[: ]+(\S+)")


class Fields:
    """Stands in for a class whose objects are their attributes."""


class Values(tuple[Any, ...]):
    """Stands in for a named tuple."""

    def __new__(cls, *values: Any) -> "Values":
        """Returns the values as they were given to the named tuple."""
        return super().__new__(cls, values)


STAND_INS: tuple[tuple[type, str], ...] = (
    (type("Config2025", (Fields,), {}), "transformer_lens.HookedTransformerConfig.HookedTransformerConfig"),
    (type("Config", (Fields,), {}), "circuit_tracer.utils.tl_nnsight_mapping.UnifiedConfig"),
    (Values, "circuit_tracer.attribution.targets.LogitTarget"),
)


def load_pickled(location: str) -> dict[str, Any]:
    """Returns what a .pt file at a path or fsspec URL holds; raises GraphFileError if it is not safe or not whole."""
    try:
        import torch
    except ImportError as error:
        raise GraphFileError(
            f"{location} is a torch file, and torch is not installed; install circuitbase[trace], or export the graph "
            "as JSON"
        ) from error
    local = Path(location)
    try:
        with torch.serialization.safe_globals(list(STAND_INS)):
            if local.is_file() and zipfile.is_zipfile(local):
                found = torch.load(local, map_location="cpu", weights_only=True, mmap=True)
            else:
                with fsspec.open(location, "rb") as file:
                    found = torch.load(io.BytesIO(file.read()), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(location, str(error)) from error
    except (RuntimeError, ValueError, EOFError, OSError, KeyError, AttributeError, TypeError) as error:
        raise GraphFileError(
            f"{location} is truncated or no torch file ({str(error).strip().splitlines()[0]:.120}); copy it again, or "
            "save the graph again with circuit-tracer"
        ) from error
    if not isinstance(found, dict) or "adjacency_matrix" not in found:
        raise GraphFileError(
            f"{location} is a torch file, but no graph: it should hold a dictionary with an adjacency_matrix; give a "
            "file that circuit-tracer's Graph.to_pt wrote"
        )
    return found


def _refused(location: str, said: str) -> GraphFileError:
    match = _REFUSED.search(said)
    if match is None:
        return GraphFileError(
            f"{location} cannot be read without running code of its own; save the graph again with circuit-tracer"
        )
    named = next(group for group in match.groups() if group).strip("`.,")
    allowed = ", ".join(name for _, name in STAND_INS)
    return GraphFileError(
        f"{location} holds a pickled {named}, and nothing of it was run: only tensors, texts, numbers and {allowed} "
        "are read; save the graph again with circuit-tracer"
    )
