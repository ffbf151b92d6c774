"""The list of files in a transcoder set's `config.yaml`: local paths or addresses on the hub, a file per layer.

`transcoders` has a path or `hf://org/repo/file?revision=...` per layer, in order; in its earliest form (2025-06) a
mapping of `id`, `layer` and `filepath` per layer, in any order.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.circuit_tracer_config import CONFIG_FILE
from circuitbase.tracing.locating import HUB_FILE, locate_file

SUFFIXES = (".safetensors", ".npz")


@dataclass(frozen=True)
class Listed:
    """A layer's file; `earliest` if it comes from a list in the form of 2025-06."""

    layer: int
    path: Path
    earliest: bool = False


def listed_files(folder: Path, config: dict[str, Any]) -> list[Listed]:
    """Returns the files that `transcoders` lists, fetched if they are on the hub; raises ModelError for none."""
    entries = config["transcoders"]
    if not isinstance(entries, list) or not entries:
        raise ModelError(f"{folder / CONFIG_FILE}: transcoders must list a file for each layer, got {entries!r}")
    listed = [_listed(folder, position, entry) for position, entry in enumerate(entries)]
    layers = sorted(file.layer for file in listed)
    if layers != list(range(len(listed))):
        raise ModelError(
            f"{folder / CONFIG_FILE}: transcoders must list each layer from 0 to {len(listed) - 1} once, got "
            f"{', '.join(map(str, layers))}"
        )
    return sorted(listed, key=lambda file: file.layer)


def _listed(folder: Path, position: int, entry: Any) -> Listed:
    layer, place, earliest = position, entry, isinstance(entry, dict)
    if earliest:
        layer, place = entry.get("layer"), entry.get("filepath")
    if not isinstance(place, str) or not isinstance(layer, int):
        raise ModelError(
            f"{folder / CONFIG_FILE}: each entry of transcoders must be a path, or a mapping with layer and filepath, "
            f"got {entry!r}"
        )
    if HUB_FILE.fullmatch(place):
        path = locate_file(place)
    else:
        path = folder / Path(place).expanduser()
        if not path.is_file():
            raise ModelError(f"{folder / CONFIG_FILE} lists {place}, but there is no such file; correct its path")
    if path.suffix not in SUFFIXES:
        raise ModelError(f"{folder / CONFIG_FILE} lists {place}, but a layer's file must be {' or '.join(SUFFIXES)}")
    return Listed(layer, path, earliest)
