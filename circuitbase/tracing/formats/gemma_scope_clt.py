"""Gemma Scope's cross-layer transcoders: `config.json` and `params_layer_{i}.safetensors` for each layer.

As in `gemma_scope_params`, but `w_dec [F, L, d]`, whose axis 1 is the absolute output layer (layers before i are not
used); `b_dec` belongs to output layer i.
"""

import re
from pathlib import Path

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.assembling import assembled
from circuitbase.tracing.formats.gemma_scope import CONFIG, hf_points
from circuitbase.tracing.formats.gemma_scope_params import AFFINE, LAYOUT, RULE, VECTORS
from circuitbase.tracing.formats.headers import tensor_shapes
from circuitbase.tracing.formats.json_config import read_json
from circuitbase.tracing.formats.sizes import check_names, check_shapes, length
from circuitbase.tracing.formats.stored import Described, FoundLayer, Point, Stored, StoredDictionary, StoredLayer

LAYER_FILE = re.compile(r"params_layer_(\d+)\.safetensors")
FIRST_FILE = "params_layer_0.safetensors"
USUAL = ("pre_feedforward_layernorm.output", "post_feedforward_layernorm.output")


def read_gemma_scope_clt(folder: Path) -> StoredDictionary:
    """Returns the description of a folder's cross-layer transcoder; raises ModelError for what is wrong with it."""
    files = {int(match[1]): path for path in folder.iterdir() if (match := LAYER_FILE.fullmatch(path.name))}
    n_layers = max(files) + 1
    if missing := sorted(set(range(n_layers)) - set(files)):
        names = ", ".join(f"params_layer_{layer}.safetensors" for layer in missing)
        raise ModelError(f"{folder} should hold a file for every layer up to {n_layers - 1}, but lacks {names}; add it")
    path = folder / CONFIG
    config = read_json(path) if path.is_file() else {}
    if config.get("type", "clt") != "clt":
        raise ModelError(f"{path}: type must be clt where there is a file for each layer, got {config['type']}")
    if isinstance(config.get("hf_hook_point_in"), str):
        reads, writes = hf_points(config, path)
    else:  # without a file, or with a list of every layer's hooks
        reads, writes = (Point(name, f"{folder}, as a cross-layer transcoder of Gemma Scope,") for name in USUAL)
    found = [
        _layer(files[layer], layer, n_layers, reads, writes, model_name=config.get("model_name"))
        for layer in range(n_layers)
    ]
    return assembled(folder, found, files=(path,) if path.is_file() else ())


def _layer(path: Path, layer: int, n_layers: int, reads: Point, writes: Point, *, model_name: str | None) -> FoundLayer:
    shapes = tensor_shapes(path)
    check_names(path, shapes, layout=LAYOUT, needed=("w_enc", "w_dec", *VECTORS), allowed=(AFFINE,))
    n_features, d_model = length(path, shapes, "b_enc"), length(path, shapes, "b_dec")
    expected = {
        "w_enc": (d_model, n_features),
        "w_dec": (n_features, n_layers, d_model),
        "threshold": (n_features,),
        AFFINE: (d_model, d_model),
    }
    check_shapes(path, shapes, expected, lengths_of=f"b_enc, b_dec and the {n_layers} layers", layout=LAYOUT)
    return FoundLayer(
        layer=layer,
        place=path,
        described=Described(
            kind="cross_layer_transcoder",
            reads=reads,
            writes=writes,
            rule=RULE,
            n_features=n_features,
            d_read=d_model,
            d_write=d_model,
            model_name=model_name,
            named_in=f"its {CONFIG}",
        ),
        tensors=StoredLayer(
            W_enc=Stored(path, "w_enc", transposed=True),
            W_dec=tuple(Stored(path, "w_dec", slot=slot) for slot in range(layer, n_layers)),
            b_enc=Stored(path, "b_enc"),
            b_dec=Stored(path, "b_dec"),
            threshold=Stored(path, "threshold"),
            W_skip=Stored(path, AFFINE, transposed=True) if AFFINE in shapes else None,
        ),
        files=(path,),
    )
