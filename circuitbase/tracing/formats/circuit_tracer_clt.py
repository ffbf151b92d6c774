"""circuit-tracer's cross-layer transcoders: `config.yaml`, and an encoder's and a decoder's file for each layer.

`W_enc_{i}.safetensors` holds `W_enc_{i} [F, d]`, `b_enc_{i} [F]`, `b_dec_{i} [d]` (of *output* layer i), optionally
`threshold_{i} [F]` (then JumpReLU) and `W_skip_{i} [in, out]` (`x @ W_skip_i`, unlike in a transcoder set);
`W_dec_{i}.safetensors` holds `W_dec_{i} [F, L − i, d]`, whose slot j writes into layer i + j.
"""

import re
from pathlib import Path
from typing import Any

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.assembling import assembled
from circuitbase.tracing.formats.circuit_tracer_config import CONFIG_FILE, hook_points, lens_version, model_name
from circuitbase.tracing.formats.headers import tensor_shapes
from circuitbase.tracing.formats.sizes import check_names, check_shapes, length
from circuitbase.tracing.formats.stored import Described, FoundLayer, Rule, Stored, StoredDictionary, StoredLayer

LAYOUT = "circuit-tracer"
ENCODER_FILE = re.compile(r"W_enc_(\d+)\.safetensors")


def read_cross_layer_transcoder(folder: Path, config: dict[str, Any]) -> StoredDictionary:
    """Returns the description of a folder's cross-layer transcoder; raises ModelError for what is wrong with it."""
    found = {int(match[1]) for path in folder.iterdir() if (match := ENCODER_FILE.fullmatch(path.name))}
    if not found:
        raise ModelError(f"{folder} should hold W_enc_0.safetensors and so on, but holds none; check the path")
    n_layers = max(found) + 1
    files = [f"{what}_{layer}.safetensors" for layer in range(n_layers) for what in ("W_enc", "W_dec")]
    if missing := [name for name in files if not (folder / name).is_file()]:
        raise ModelError(
            f"{folder} should hold two files for every layer up to {n_layers - 1}, but lacks {', '.join(missing)}; "
            "add what is missing"
        )
    layers = [_layer(folder, config, layer, n_layers) for layer in range(n_layers)]
    for what in ("threshold", "W_skip"):
        having = [one.layer for one in layers if getattr(one.tensors, what) is not None]
        if 0 < len(having) < n_layers:
            without = min(set(range(n_layers)) - set(having))
            raise ModelError(f"{folder}: either every layer or none must have {what}, but layer {without} lacks it")
    return assembled(folder, layers, files=(folder / CONFIG_FILE,))


def _layer(folder: Path, config: dict[str, Any], layer: int, n_layers: int) -> FoundLayer:
    encoder, decoder = (folder / f"{what}_{layer}.safetensors" for what in ("W_enc", "W_dec"))
    W_enc, b_enc, b_dec, threshold, W_skip, W_dec = (
        f"{what}_{layer}" for what in ("W_enc", "b_enc", "b_dec", "threshold", "W_skip", "W_dec")
    )
    shapes, decoder_shapes = tensor_shapes(encoder), tensor_shapes(decoder)
    layout = "a cross-layer transcoder"
    check_names(encoder, shapes, layout=layout, needed=(W_enc, b_enc, b_dec), allowed=(threshold, W_skip))
    check_names(decoder, decoder_shapes, layout=layout, needed=(W_dec,))
    n_features, d_model = length(encoder, shapes, b_enc), length(encoder, shapes, b_dec)
    expected = {W_enc: (n_features, d_model), threshold: (n_features,), W_skip: (d_model, d_model)}
    check_shapes(encoder, shapes, expected, lengths_of=f"{b_enc} and {b_dec}", layout=LAYOUT)
    expected = {W_dec: (n_features, n_layers - layer, d_model)}
    check_shapes(
        decoder, decoder_shapes, expected, lengths_of=f"{b_enc}, {b_dec} and the {n_layers} layers", layout=LAYOUT
    )
    reads, writes = hook_points(config, folder)
    return FoundLayer(
        layer=layer,
        place=encoder,
        described=Described(
            kind="cross_layer_transcoder",
            reads=reads,
            writes=writes,
            rule=Rule("jumprelu", relu=False) if threshold in shapes else Rule("relu", relu=True),
            n_features=n_features,
            d_read=d_model,
            d_write=d_model,
            model_name=model_name(config),
            named_in=f"its {CONFIG_FILE}",
            lens_version=lens_version(config, folder / CONFIG_FILE),
        ),
        tensors=StoredLayer(
            W_enc=Stored(encoder, W_enc),
            W_dec=tuple(Stored(decoder, W_dec, slot=slot) for slot in range(n_layers - layer)),
            b_enc=Stored(encoder, b_enc),
            b_dec=Stored(encoder, b_dec),
            threshold=Stored(encoder, threshold) if threshold in shapes else None,
            W_skip=Stored(encoder, W_skip, transposed=True) if W_skip in shapes else None,
        ),
        files=(encoder, decoder),
    )
