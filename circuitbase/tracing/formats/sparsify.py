"""sparsify (EleutherAI): `cfg.json` and `sae.safetensors` in a folder named after the hook (`layers.5.mlp`, `h.5.mlp`).

`encoder.weight [F, d]`, `encoder.bias`, `W_dec [F, d]`, `b_dec`, optionally `W_skip` (`x @ W_skip.T`, on the raw
input). SAEs read the output of the module that the folder names, transcoders its input, and write its output. b_dec is
subtracted from the input unless `transcode` is true. Transcoders from before 2025-02 lack that entry: `W_skip` or
the word in a folder's name tells them, and they do subtract it. No file names the model.
"""

import re
from pathlib import Path
from typing import Any

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.headers import tensor_shapes
from circuitbase.tracing.formats.json_config import positive_integer, read_json
from circuitbase.tracing.formats.sizes import check_names, check_shapes, length
from circuitbase.tracing.formats.stored import Described, FoundLayer, Point, Rule, Stored, StoredLayer
from circuitbase.tracing.hook_names import layer_and_point

LAYOUT = "sparsify"
CONFIG, WEIGHTS = "cfg.json", "sae.safetensors"
HOOK_POINT = re.compile(r"(?:[\w.]+\.)?(?:layers|h)\.\d+(?:\.[\w.]+)?")
NEEDED = ("encoder.weight", "encoder.bias", "W_dec", "b_dec")
HUB_FOLDER = "models--"


def read_sparsify(place: Path, folder: Path) -> FoundLayer:
    """Returns a layer's dictionary; raises ModelError for what is wrong with it."""
    path, weights = place / CONFIG, place / WEIGHTS
    config, shapes = read_json(path), tensor_shapes(weights)
    check_names(weights, shapes, layout=LAYOUT, needed=NEEDED, allowed=("W_skip",))
    transcodes, subtracts = _transcodes(config, "W_skip" in shapes, place, folder)
    n_features, d_write = length(weights, shapes, "encoder.bias"), length(weights, shapes, "b_dec")
    d_read = d_write if config.get("d_in") is None else positive_integer(config, "d_in", path)
    expected = {
        "encoder.weight": (n_features, d_read),
        "W_dec": (n_features, d_write),
        "W_skip": (d_write, d_read),
    }
    check_shapes(weights, shapes, expected, lengths_of="encoder.bias and b_dec", layout=LAYOUT)
    rule, k = _rule(config, path, n_features)
    layer, reads, writes = _points(place, transcodes=transcodes)
    described = Described(
        kind="transcoder_set" if transcodes else "sae_set",
        reads=reads,
        writes=writes,
        rule=rule,
        n_features=n_features,
        d_read=d_read,
        d_write=d_write,
        said_by_place=True,
    )
    tensors = StoredLayer(
        W_enc=Stored(weights, "encoder.weight"),
        W_dec=(Stored(weights, "W_dec"),),
        b_enc=Stored(weights, "encoder.bias"),
        b_dec=Stored(weights, "b_dec"),
        W_skip=Stored(weights, "W_skip") if "W_skip" in shapes else None,
        k=k,
        subtracts_b_dec=subtracts,
    )
    return FoundLayer(layer, place, described, tensors, files=(path, weights))


def _transcodes(config: dict[str, Any], skips: bool, place: Path, folder: Path) -> tuple[bool, bool]:
    """Returns whether it is a transcoder, and whether it subtracts b_dec from what it reads."""
    if "transcode" in config:
        return bool(config["transcode"]), not config["transcode"]
    names = [*place.relative_to(folder).parts, folder.absolute().name]
    names += [part for part in folder.absolute().parts if part.startswith(HUB_FOLDER)]
    return skips or any("transcoder" in name.lower() for name in names), True


def _rule(config: dict[str, Any], path: Path, n_features: int) -> tuple[Rule, int]:
    k = positive_integer(config, "k", path)
    match config.get("activation", "topk"):
        case "topk" if k <= n_features:
            return Rule("topk", relu=True), k
        case "groupmax" if n_features % k == 0:
            return Rule("groupmax", relu=True), k
        case "topk" | "groupmax":
            raise ModelError(
                f"{path}: k must be at most, for groupmax a divisor of, the {n_features} features, got {k}"
            )
        case other:
            raise ModelError(f"{path}: activation must be topk or groupmax, got {other}")


def _points(place: Path, *, transcodes: bool) -> tuple[int, Point, Point]:
    name = next((part for part in reversed(place.absolute().parts) if HOOK_POINT.fullmatch(part)), None)
    layer, module = layer_and_point(name or "")
    if layer is None:
        raise ModelError(
            f"{place} should lie in a folder named after its hook, such as layers.5.mlp or h.5.mlp, but does not; "
            "name it so"
        )
    prefix = f"{module}." if module else ""
    said_in = f"{place}, by its folder's name,"
    writes = Point(f"{prefix}output", said_in)
    return layer, Point(f"{prefix}input", said_in) if transcodes else writes, writes
