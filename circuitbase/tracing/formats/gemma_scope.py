"""Gemma Scope: dictionaries of Gemma-2 (`params.npz`) and of Gemma-3 (`params.safetensors`), a folder for each.

The first release says model, layer and hook in its path alone
(`gemma-scope-2b-pt-transcoders/layer_3/width_16k/average_l0_54`), the second in a `config.json` that may be missing
(`gemma-scope-2-1b-pt/transcoder_all/layer_3_width_16k_l0_small_affine`). Arrays: `gemma_scope_params`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.gemma_scope_params import RULE, params_layer
from circuitbase.tracing.formats.headers import tensor_shapes
from circuitbase.tracing.formats.json_config import read_json
from circuitbase.tracing.formats.stored import Described, FoundLayer, Kind, Point
from circuitbase.tracing.hook_names import layer_and_point

CONFIG = "config.json"
FIRST = re.compile(r"gemma-scope-(?P<size>\d+b)-(?P<tuning>pt|it)-(?P<what>res|mlp|att|transcoders)\b")
SECOND = re.compile(r"gemma-scope-2-(?P<size>\d+[bm])-(?P<tuning>pt|it)\b")
FIRST_LAYER = re.compile(r"layer_(\d+)")
SECOND_LAYER = re.compile(r"layer_(\d+)_width_.*")
OF_FIRST = {
    "res": ("hook_resid_post", "hook_resid_post"),
    "mlp": ("hook_mlp_out", "hook_mlp_out"),
    "att": ("attn.hook_z", "attn.hook_z"),
    "transcoders": ("ln2.hook_normalized", "hook_mlp_out"),
}
OF_SECOND = {
    "resid_post": ("output", "output"),
    "mlp_out": ("post_feedforward_layernorm.output", "post_feedforward_layernorm.output"),
    "attn_out": ("self_attn.o_proj.input", "self_attn.o_proj.input"),
    "transcoder": ("pre_feedforward_layernorm.output", "post_feedforward_layernorm.output"),
}


@dataclass(frozen=True)
class _Said:
    """What a path or a config.json says of a dictionary."""

    layer: int
    reads: Point
    writes: Point
    model_name: str | None
    kind: Kind
    by_place: bool


def read_gemma_scope_1(place: Path, folder: Path) -> FoundLayer:
    """Returns a layer's dictionary of the first release; raises ModelError for what is wrong with it."""
    path = place / "params.npz"
    release = _last(FIRST, place)
    layer = next(
        (match[1] for part in reversed(place.absolute().parts) if (match := FIRST_LAYER.fullmatch(part))), None
    )
    if release is None or layer is None:
        raise ModelError(
            f"{path} should lie in a path that says its hook and its layer, such as "
            "gemma-scope-2b-pt-transcoders/layer_3/width_16k/average_l0_54, but does not; name the folders so"
        )
    reads, writes = (Point(name, f"{place}, by its path,") for name in OF_FIRST[release["what"]])
    tuned = "-it" if release["tuning"] == "it" else ""
    said = _Said(
        int(layer), reads, writes, f"google/gemma-2-{release['size']}{tuned}", _kind(reads.name, writes.name), True
    )
    return _found(path, place, said, files=(path,))


def read_gemma_scope_2(place: Path, folder: Path) -> FoundLayer:
    """Returns a layer's dictionary of the second release; raises ModelError for what is wrong with it."""
    path, config = place / "params.safetensors", place / CONFIG
    if config.is_file():
        return _found(path, place, _from_config(read_json(config), config, place), files=(config, path))
    return _found(path, place, _from_path(place), files=(path,))


def _found(path: Path, place: Path, said: _Said, *, files: tuple[Path, ...]) -> FoundLayer:
    tensors, (n_features, d_read, d_write) = params_layer(path, tensor_shapes(path))
    described = Described(
        kind=said.kind,
        reads=said.reads,
        writes=said.writes,
        rule=RULE,
        n_features=n_features,
        d_read=d_read,
        d_write=d_write,
        model_name=said.model_name,
        named_in="its path" if said.by_place else f"its {CONFIG}",
        said_by_place=said.by_place,
    )
    return FoundLayer(said.layer, place, described, tensors, files)


def _from_config(config: dict[str, Any], path: Path, place: Path) -> _Said:
    kind = config.get("type")
    if kind not in (None, "sae", "transcoder"):
        raise ModelError(f"{path}: type must be sae, transcoder or clt to be traced, got {kind}")
    if config.get("architecture") not in (None, "jump_relu"):
        raise ModelError(f"{path}: architecture must be jump_relu, got {config['architecture']}")
    reads, writes = hf_points(config, path)
    layer = layer_and_point(str(config.get("hf_hook_point_in")))[0]
    if layer is None:
        raise ModelError(
            f"{path}: hf_hook_point_in should name a layer, such as model.layers.3.mlp.output, but does not"
        )
    return _Said(layer, reads, writes, config.get("model_name"), _kind(reads.name, writes.name), False)


def hf_points(config: dict[str, Any], path: Path) -> tuple[Point, Point]:
    """Returns where a dictionary of the second release reads and writes, by its config.json."""
    read = config.get("hf_hook_point_in")
    names = (read, config.get("hf_hook_point_out") or read)
    reads, writes = (
        Point(layer_and_point(str(name))[1], f"{path}: hf_hook_point_{end}")
        for name, end in zip(names, ("in", "out"), strict=True)
    )
    return reads, writes


def _from_path(place: Path) -> _Said:
    match = SECOND_LAYER.fullmatch(place.name)
    what = next(
        (
            part.removesuffix("_all")
            for part in reversed(place.absolute().parts)
            if part.removesuffix("_all") in OF_SECOND
        ),
        None,
    )
    if match is None or what is None:
        raise ModelError(
            f"{place} holds no {CONFIG}, so its path should say its hook and its layer, such as "
            "transcoder_all/layer_3_width_16k_l0_small, but does not; add the file or name the folders so"
        )
    reads, writes = (Point(name, f"{place}, by its path,") for name in OF_SECOND[what])
    release = _last(SECOND, place)
    name = None if release is None else f"google/gemma-3-{release['size']}-{release['tuning']}"
    return _Said(int(match[1]), reads, writes, name, _kind(reads.name, writes.name), True)


def _kind(reads: str, writes: str) -> Kind:
    return "sae_set" if reads == writes else "transcoder_set"


def _last(pattern: re.Pattern[str], place: Path) -> re.Match[str] | None:
    return next((match for part in reversed(place.absolute().parts) if (match := pattern.search(part))), None)
