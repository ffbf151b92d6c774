"""circuit-tracer's transcoder sets: `config.yaml` and a file for each layer.

`layer_{i}.safetensors` holds layer i's `W_enc [F, d]`, `W_dec [F, d]`, `b_enc [F]`, `b_dec [d]`, optionally
`activation_function.threshold [F]` (then JumpReLU) and `W_skip [d, d]` (`x @ W_skip.T`). Nothing is subtracted from
the input; TopK keeps the k largest even if they are negative.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.assembling import assembled
from circuitbase.tracing.formats.circuit_tracer_config import CONFIG_FILE, hook_points, lens_version, model_name
from circuitbase.tracing.formats.circuit_tracer_list import Listed, listed_files
from circuitbase.tracing.formats.gemma_scope_params import params_layer
from circuitbase.tracing.formats.headers import Shape, tensor_shapes
from circuitbase.tracing.formats.sizes import check_names, check_shapes, length
from circuitbase.tracing.formats.stored import Described, FoundLayer, Rule, Stored, StoredDictionary, StoredLayer

LAYOUT = "circuit-tracer"
THRESHOLD = "activation_function.threshold"
SAVED_K = "k"  # a scalar that saved TopK sets add to each layer's file
LAYER_FILE = re.compile(r"layer_(\d+)\.safetensors")
NEEDED = ("W_enc", "W_dec", "b_enc", "b_dec")


def read_transcoder_set(folder: Path, config: dict[str, Any]) -> StoredDictionary:
    """Returns the description of a folder's transcoders; raises ModelError that says what is wrong with it."""
    files = listed_files(folder, config) if "transcoders" in config else _layer_files(folder)
    shapes = [tensor_shapes(file.path) for file in files]
    rule, k = _rule(config, folder, files, shapes)
    found = [_layer(file, found, config, folder, rule=rule, k=k) for file, found in zip(files, shapes, strict=True)]
    whole = assembled(folder, found, files=(folder / CONFIG_FILE,))
    if k is not None and k > whole.described.n_features:
        raise ModelError(
            f"{folder / CONFIG_FILE}: k must be at most the {whole.described.n_features} features of a layer, got {k}"
        )
    return whole


def _layer_files(folder: Path) -> list[Listed]:
    found = {int(match[1]): path for path in folder.iterdir() if (match := LAYER_FILE.fullmatch(path.name))}
    if not found:
        raise ModelError(f"{folder} should hold layer_0.safetensors and so on, but holds none; check the path")
    if missing := sorted(set(range(max(found))) - set(found)):
        names = ", ".join(f"layer_{layer}.safetensors" for layer in missing)
        raise ModelError(f"{folder} should hold a file for every layer up to {max(found)}, but lacks {names}; add it")
    return [Listed(layer, found[layer]) for layer in sorted(found)]


def _layer(
    file: Listed,
    shapes: Mapping[str, Shape],
    config: dict[str, Any],
    folder: Path,
    *,
    rule: Rule,
    k: int | None,
) -> FoundLayer:
    reads, writes = hook_points(config, folder)
    if _is_gemma_scope(shapes):
        tensors, (n_features, d_read, d_write) = params_layer(file.path, shapes)
    else:
        tensors, (n_features, d_read, d_write) = _tensors(file, shapes, relu=rule.activation == "relu", k=k)
    return FoundLayer(
        layer=file.layer,
        place=file.path,
        described=Described(
            kind="transcoder_set",
            reads=reads,
            writes=writes,
            rule=rule,
            n_features=n_features,
            d_read=d_read,
            d_write=d_write,
            model_name=model_name(config),
            named_in=f"its {CONFIG_FILE}",
            lens_version=lens_version(config, folder / CONFIG_FILE),
        ),
        tensors=tensors,
        files=(file.path,),
    )


def _tensors(
    file: Listed, shapes: Mapping[str, Shape], *, relu: bool, k: int | None
) -> tuple[StoredLayer, tuple[int, int, int]]:
    path = file.path
    check_names(path, shapes, layout="a transcoder set", needed=NEEDED, allowed=("W_skip", THRESHOLD, SAVED_K))
    n_features, d_model = length(path, shapes, "b_enc"), length(path, shapes, "b_dec")
    # ReLU files of the earliest sets have W_dec [d, F]; where F = d only the list they come in tells
    transposed = file.earliest and relu and shapes["W_dec"] == (d_model, n_features)
    expected = {
        "W_enc": (n_features, d_model),
        "W_dec": (d_model, n_features) if transposed else (n_features, d_model),
        THRESHOLD: (n_features,),
        "W_skip": (d_model, d_model),
    }
    check_shapes(path, shapes, expected, lengths_of="b_enc and b_dec", layout=LAYOUT)
    tensors = StoredLayer(
        W_enc=Stored(path, "W_enc"),
        W_dec=(Stored(path, "W_dec", transposed=transposed),),
        b_enc=Stored(path, "b_enc"),
        b_dec=Stored(path, "b_dec"),
        threshold=Stored(path, THRESHOLD) if THRESHOLD in shapes else None,
        W_skip=Stored(path, "W_skip") if "W_skip" in shapes else None,
        k=k,
    )
    return tensors, (n_features, d_model, d_model)


def _is_gemma_scope(shapes: Mapping[str, Shape]) -> bool:
    return "threshold" in shapes


def _rule(
    config: dict[str, Any], folder: Path, files: list[Listed], shapes: list[dict[str, Shape]]
) -> tuple[Rule, int | None]:
    place, stated = folder / CONFIG_FILE, config.get("activation")
    if stated not in (None, "relu", "topk", "jumprelu"):
        raise ModelError(f"{place}: activation must be relu, topk or jumprelu, got {stated}")
    gemma_scope = [_is_gemma_scope(found) for found in shapes]
    if any(gemma_scope) and not all(gemma_scope):
        odd = files[gemma_scope.index(True)].path
        raise ModelError(f"every layer must be of one format, but {odd} alone is one of Gemma Scope; list only such")
    with_threshold = [THRESHOLD in found or _is_gemma_scope(found) for found in shapes]
    if any(with_threshold) and not all(with_threshold):
        without = ", ".join(file.path.name for file, has in zip(files, with_threshold, strict=True) if not has)
        raise ModelError(f"either every layer or none must have {THRESHOLD}, but {without} lacks it")
    if stated is not None and all(with_threshold) != (stated == "jumprelu"):
        has = "have" if all(with_threshold) else "lack"
        raise ModelError(
            f"{place} states the activation {stated}, but the layers {has} {THRESHOLD}; correct the one that is wrong"
        )
    if all(with_threshold):
        return Rule("jumprelu", relu=all(gemma_scope)), None
    if stated != "topk":
        return Rule("relu", relu=True), None
    k = config.get("k")
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ModelError(f"{place}: k must be a positive integer where the activation is topk, got {k}")
    return Rule("topk", relu=False), k
