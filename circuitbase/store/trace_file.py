"""The trace file `<trace id>.safetensors`: the contract between workers, ingest and every reader.

One safetensors file whose metadata has one key, `circuitbase`: JSON with the file's version, the
trace's metadata and a digest of the arrays. The same trace always gives the same bytes.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from circuitbase.errors import TraceFileError
from circuitbase.graph.attribution_graph import ARRAY_DTYPES, OPTIONAL_DTYPES, AttributionGraph
from circuitbase.graph.consistency import length_problems, problems
from circuitbase.graph.trace import Trace, TraceMetadata
from circuitbase.schema.identity import canonical_json

FILE_VERSION = 1
METADATA_KEY = "circuitbase"
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Header:
    """What a trace file says of itself before its arrays are read."""

    trace_id: str
    array_digest: str
    metadata: TraceMetadata


def to_bytes(trace: Trace) -> bytes:
    """Returns the trace as the bytes of its file."""
    arrays = {name: np.ascontiguousarray(array) for name, array in trace.graph.arrays().items()}
    described = {
        "file_version": FILE_VERSION,
        "array_digest": array_digest(arrays),
        **trace.metadata.as_json(),
    }
    return save_arrays(arrays, metadata={METADATA_KEY: canonical_json(described)})


def from_bytes(content: bytes, *, name: str) -> Trace:
    """Returns the trace that `content` holds; `name` is what errors call the file.

    Raises TraceFileError, which names the file and what is wrong, for a file that is truncated,
    from another version, or inconsistent. No code in the file is ever run.
    """
    header = read_header(content, name=name)
    try:
        arrays = load_arrays(content)
    except (SafetensorError, ValueError) as error:
        raise _damaged(name, str(error)) from error
    _check_arrays(arrays, header, name=name)
    metadata = header.metadata
    graph = AttributionGraph(**{array: arrays[array] for array in _expected(arrays)})
    found = problems(
        graph,
        n_layers=metadata.model.n_layers,
        n_positions=len(metadata.prompt.token_ids),
        n_targets=len(metadata.targets),
        unproven=metadata.unproven,
    )
    if found:
        raise _inconsistent(name, found)
    return Trace(metadata=metadata, graph=graph)


def read_header(content: bytes, *, name: str) -> Header:
    """Returns what the file's header says, checked; needs only the first bytes of the file."""
    described = _described(content, name=name)
    version = described.get("file_version")
    if version != FILE_VERSION:
        raise TraceFileError(
            f"{name} has trace file version {version}, but this circuitbase reads version {FILE_VERSION}; "
            "trace the prompt again, or read it with the circuitbase that wrote it"
        )
    try:
        metadata = TraceMetadata.from_json(described)
        made = metadata.trace_id
        stated, digest = str(described["trace_id"]), str(described["array_digest"])
    except KeyError as error:
        raise TraceFileError(f"{name} lacks part of a trace's metadata ({error}); trace the prompt again") from error
    except (TypeError, IndexError, ValueError, AttributeError) as error:
        raise TraceFileError(
            f"{name} holds a trace's metadata in another form than expected ({str(error).splitlines()[0]}); "
            "trace the prompt again"
        ) from error
    if stated != made:
        raise TraceFileError(
            f"{name} says it is trace {stated[:12]}, but its contents make it {made[:12]}; "
            "it was altered: trace the prompt again"
        )
    return Header(trace_id=stated, array_digest=digest, metadata=metadata)


def array_digest(arrays: dict[str, np.ndarray]) -> str:
    """Returns a SHA-256 over names, types, shapes and values of the arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(canonical_json([name, array.dtype.str, list(array.shape)]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _described(content: bytes, *, name: str) -> dict[str, Any]:
    if len(content) < 8:
        raise _damaged(name, f"it has {len(content)} bytes")
    length = int.from_bytes(content[:8], "little")
    if content[8:9] not in (b"{", b""):
        raise TraceFileError(
            f"{name} is not a trace file, as it is no safetensors file; "
            "give a file that `circuitbase trace --out` or a worker wrote"
        )
    if length > len(content) - 8:
        raise _damaged(name, f"its header should have {length} bytes, but {len(content) - 8} are there")
    try:
        header = json.loads(content[8 : 8 + length])
        described = json.loads(header["__metadata__"][METADATA_KEY])
    except (ValueError, KeyError, TypeError) as error:
        raise TraceFileError(
            f"{name} is not a trace file: its safetensors metadata has no readable `{METADATA_KEY}` entry; "
            "give a file that `circuitbase trace --out` or a worker wrote"
        ) from error
    if not isinstance(described, dict):
        raise _damaged(name, "its metadata is not a JSON object")
    return described


def _check_arrays(arrays: dict[str, np.ndarray], header: Header, *, name: str) -> None:
    wrong = [
        f"{array} should be {dtype} of one dimension, got {_described_array(arrays.get(array))}"
        for array, dtype in _expected(arrays).items()
        if array not in arrays or arrays[array].dtype != dtype or arrays[array].ndim != 1
    ]
    if wrong:
        raise TraceFileError(f"{name} is not a trace file: {'; '.join(wrong)}; trace the prompt again")
    if array_digest(arrays) != header.array_digest:
        raise _damaged(name, "its arrays do not match the digest in its header")
    unequal = length_problems({array: arrays[array] for array in _expected(arrays)})
    if unequal:
        raise _inconsistent(name, unequal)


def _expected(arrays: dict[str, np.ndarray]) -> dict[str, np.dtype]:
    """Returns the type of every array that must be there: of each group of optional ones all, if any is."""
    groups = [group for group in OPTIONAL_DTYPES if any(name in arrays for name in group)]
    return {name: dtype for group in (ARRAY_DTYPES, *groups) for name, dtype in group.items()}


def _described_array(array: np.ndarray | None) -> str:
    return "nothing" if array is None else f"{array.dtype} of {array.ndim}"


def _inconsistent(name: str, found: list[str]) -> TraceFileError:
    return TraceFileError(f"{name} is not a consistent trace file: {'; '.join(found)}; trace the prompt again")


def _damaged(name: str, reason: str) -> TraceFileError:
    return TraceFileError(f"{name} is damaged or truncated ({reason}); trace the prompt again")
