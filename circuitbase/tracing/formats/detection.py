"""Which format a folder is in, by the files it holds, and what it holds in that format."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.assembling import assembled
from circuitbase.tracing.formats.circuit_tracer_clt import read_cross_layer_transcoder
from circuitbase.tracing.formats.circuit_tracer_config import CONFIG_FILE, CROSS_LAYER, INPUT_HOOK, read_config
from circuitbase.tracing.formats.circuit_tracer_set import read_transcoder_set
from circuitbase.tracing.formats.dictionary_learning import read_dictionary_learning
from circuitbase.tracing.formats.gemma_scope import read_gemma_scope_1, read_gemma_scope_2
from circuitbase.tracing.formats.gemma_scope_clt import read_gemma_scope_clt
from circuitbase.tracing.formats.sae_lens import read_sae_lens
from circuitbase.tracing.formats.sparsify import read_sparsify
from circuitbase.tracing.formats.stored import FoundLayer, StoredDictionary


class LayerFormat(NamedTuple):
    """A format with a folder per layer: the files that tell it, and its reader."""

    name: str
    files: tuple[str, ...]
    read: Callable[[Path, Path], FoundLayer]


LAYER_FORMATS = (
    LayerFormat("Gemma Scope", ("params.npz",), read_gemma_scope_1),
    LayerFormat("Gemma Scope 2", ("params.safetensors",), read_gemma_scope_2),
    LayerFormat("SAELens", ("cfg.json", "sae_weights.safetensors"), read_sae_lens),
    LayerFormat("sparsify", ("cfg.json", "sae.safetensors"), read_sparsify),
    LayerFormat("dictionary_learning", ("config.json", "ae.pt"), read_dictionary_learning),
)
CLT_FILES = "params_layer_*.safetensors"
DEPTH = 6  # folders below the given one that are searched
EXPECTED = (
    "a config.yaml of circuit-tracer, params.npz, params.safetensors or params_layer_0.safetensors of Gemma Scope, "
    "cfg.json beside sae_weights.safetensors of SAELens or sae.safetensors of sparsify, or ae.pt of "
    "dictionary_learning"
)


def read_stored_dictionary(folder: Path) -> StoredDictionary:
    """Returns what a dictionary's folder holds, without its weights; raises ModelError for one that is no dictionary.

    Formats with a folder per layer are searched for in it and below; each layer must be there once.
    """
    found = [(each, place) for place in _folders(folder) for each in LAYER_FORMATS if _holds(place, each.files)]
    config = read_config(folder) if (folder / CONFIG_FILE).exists() else {}
    if config and (INPUT_HOOK in config or not found):  # others keep a config.yaml of training beside their files
        read = read_cross_layer_transcoder if config["model_kind"] == CROSS_LAYER else read_transcoder_set
        return read(folder, config)
    if any(folder.glob(CLT_FILES)):
        return read_gemma_scope_clt(folder)
    if not found:
        raise ModelError(_nothing(folder))
    names = {each.name for each, _ in found}
    if len(names) > 1:
        raise ModelError(
            f"{folder} should hold one dictionary, but holds {' and '.join(sorted(names))}; give a narrower folder"
        )
    return assembled(folder, [each.read(place, folder) for each, place in found])


def _holds(place: Path, files: tuple[str, ...]) -> bool:
    return all((place / name).is_file() for name in files)


def _folders(folder: Path) -> Iterator[Path]:
    """Yields the folder and those below it, in order; links are followed, hidden ones left out."""
    for place, below, _ in os.walk(folder, followlinks=True):
        deep = len(Path(place).relative_to(folder).parts) >= DEPTH
        below[:] = [] if deep else sorted(name for name in below if not name.startswith("."))
        yield Path(place)


def _nothing(folder: Path) -> str:
    sets = [place for place in _folders(folder) if (place / CONFIG_FILE).exists() or any(place.glob(CLT_FILES))]
    if sets:
        places = ", ".join(str(place.relative_to(folder)) for place in sets[:6])
        return f"{folder} holds no dictionary itself, but {places} below it; give one of these"
    for place in _folders(folder):
        for each in LAYER_FORMATS:
            lacking = [name for name in each.files if not (place / name).is_file()]
            if (place / each.files[-1]).is_file():
                return f"{place} holds {each.files[-1]} as {each.name} does, but lacks {lacking[0]}; add it"
    return f"{folder} should hold a dictionary ({EXPECTED}), but holds none; check the path"
