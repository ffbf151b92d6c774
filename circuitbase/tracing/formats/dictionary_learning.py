"""dictionary_learning: `ae.pt`, a state_dict read without running code, and `config.json` with the trainer's settings.

What a state_dict holds depends on `dict_class` (`CLASSES`): the names of its tensors, whether they are those of
`nn.Linear` (`encoder.weight [F, d]`, `decoder.weight [d, F]`) or `W_enc [d, F]`, `W_dec [F, d]`, whether b_dec is
subtracted from the input, and the activation. BatchTopK kinds run as `relu(z) · (relu(z) > threshold)`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.headers import Shape, tensor_shapes
from circuitbase.tracing.formats.json_config import positive_integer, read_json
from circuitbase.tracing.formats.sizes import check_names, check_shapes, length
from circuitbase.tracing.formats.stored import Described, FoundLayer, Point, Rule, Stored, StoredGate, StoredLayer
from circuitbase.tracing.hook_names import layer_and_point

LAYOUT = "dictionary_learning"
CONFIG, WEIGHTS = "config.json", "ae.pt"
GATE = ("gate_bias", "mag_bias", "r_mag")
IGNORED = ("k", "threshold", "group_sizes", "group_indices")  # which classes save beside what they use
INTERRUPTED = {"ae", "optimizer"}  # parts of the checkpoint that an interrupted run leaves


@dataclass(frozen=True)
class DictClass:
    """What a class of dictionary_learning saves and computes."""

    linear: bool
    b_enc: str | None
    b_dec: str
    subtracts: bool
    activation: Rule
    threshold: bool = False


RELU, TOPK, JUMPRELU = Rule("relu", relu=True), Rule("topk", relu=True), Rule("jumprelu", relu=True)
CLASSES = {
    "AutoEncoder": DictClass(True, "encoder.bias", "bias", True, RELU),
    "AutoEncoderNew": DictClass(True, "encoder.bias", "decoder.bias", False, RELU),
    "GatedAutoEncoder": DictClass(True, None, "decoder_bias", True, JUMPRELU),
    "AutoEncoderTopK": DictClass(True, "encoder.bias", "b_dec", True, TOPK),
    "BatchTopKSAE": DictClass(True, "encoder.bias", "b_dec", True, JUMPRELU, threshold=True),
    "JumpReluAutoEncoder": DictClass(False, "b_enc", "b_dec", False, JUMPRELU, threshold=True),
    "MatryoshkaBatchTopKSAE": DictClass(False, "b_enc", "b_dec", True, JUMPRELU, threshold=True),
}
# `submodule_name` is free text; these are the words in use
SUBMODULES = (
    (re.compile(r"mlp(_?out)?(_?layer)?_?\d*"), "mlp.output"),
    (re.compile(r"(attn|attention)(_?out)?(_?layer)?_?\d*"), "attn.output"),
    (re.compile(r"resid(_?post)?(_?layer)?_?\d*"), "output"),
)


def read_dictionary_learning(place: Path, folder: Path) -> FoundLayer:
    """Returns a layer's dictionary; raises ModelError for what is wrong with it or cannot be traced."""
    path, weights = place / CONFIG, place / WEIGHTS
    trainer = read_json(path).get("trainer")
    if not isinstance(trainer, dict):
        raise ModelError(f"{path} should hold the trainer's settings under `trainer`, but does not; fetch it again")
    name = trainer.get("dict_class")
    if name not in CLASSES:
        raise ModelError(f"{path}: dict_class must be one of {', '.join(CLASSES)}, got {name}")
    kind = CLASSES[str(name)]
    k = positive_integer(trainer, "k", path) if kind.activation == TOPK else None
    tensors, (n_features, d_model) = _tensors(weights, str(name), kind, k)
    if k is not None and k > n_features:
        raise ModelError(f"{path}: k must be at most the {n_features} features, got {k}")
    point = Point(_submodule(trainer, path), f"{path}: submodule_name")
    described = Described(
        kind="sae_set",
        reads=point,
        writes=point,
        rule=kind.activation,
        n_features=n_features,
        d_read=d_model,
        d_write=d_model,
        model_name=trainer.get("lm_name"),
        named_in=f"its {CONFIG}",
    )
    return FoundLayer(_layer(trainer, path), place, described, tensors, files=(path, weights))


def _layer(trainer: dict[str, Any], path: Path) -> int:
    layer = trainer.get("layer")
    if not isinstance(layer, int) or isinstance(layer, bool) or layer < 0:
        raise ModelError(f"{path}: layer must be the number of a layer, got {layer}")
    return layer


def _submodule(trainer: dict[str, Any], path: Path) -> str:
    """Returns which module's output the dictionary was trained on; of the block itself if nothing is said."""
    stated = trainer.get("submodule_name")
    if not stated:
        return "output"
    layer, rest = layer_and_point(str(stated))
    if layer is not None:
        return rest if rest.endswith("put") else f"{rest}.output".lstrip(".")
    for pattern, point in SUBMODULES:
        if pattern.fullmatch(str(stated)):
            return point
    raise ModelError(
        f"{path}: submodule_name must name a module in a way that is known, such as mlp_out_layer_3 or "
        f"model.layers.3.mlp, got {stated}; correct it"
    )


def _tensors(path: Path, name: str, kind: DictClass, k: int | None) -> tuple[StoredLayer, tuple[int, int]]:
    shapes = tensor_shapes(path)
    encoder, decoder = ("encoder.weight", "decoder.weight") if kind.linear else ("W_enc", "W_dec")
    if encoder not in shapes and _names(path) >= INTERRUPTED:
        raise ModelError(
            f"{path} is the checkpoint of an interrupted run, whose biases are not yet scaled; finish the run, or "
            "save its dictionary's state_dict"
        )
    biases = GATE if kind.b_enc is None else (kind.b_enc,)
    needed = (encoder, decoder, *biases, kind.b_dec, *(("threshold",) if kind.threshold else ()))
    check_names(path, shapes, layout=f"a {name}", needed=needed, allowed=IGNORED)
    n_features, d_model = length(path, shapes, biases[0]), length(path, shapes, kind.b_dec)
    rows, columns = (n_features, d_model), (d_model, n_features)
    expected: dict[str, Shape] = {encoder: rows, decoder: columns} if kind.linear else {encoder: columns, decoder: rows}
    expected |= dict.fromkeys(biases, (n_features,))
    if kind.threshold:
        expected["threshold"] = (n_features,) if name == "JumpReluAutoEncoder" else ()
    check_shapes(path, shapes, expected, lengths_of=f"{biases[0]} and {kind.b_dec}", layout=LAYOUT)
    tensors = StoredLayer(
        W_enc=Stored(path, encoder, transposed=not kind.linear),
        W_dec=(Stored(path, decoder, transposed=kind.linear),),
        b_enc=None if kind.b_enc is None else Stored(path, kind.b_enc),
        b_dec=Stored(path, kind.b_dec),
        gate=StoredGate(*(Stored(path, bias) for bias in GATE)) if kind.b_enc is None else None,
        threshold=Stored(path, "threshold") if kind.threshold else None,
        k=k,
        subtracts_b_dec=kind.subtracts,
    )
    return tensors, (n_features, d_model)


def _names(path: Path) -> set[str]:
    """Returns the names in a .pt file, those of tensors and of anything else."""
    from circuitbase.tracing.formats.tensors import load_pickled

    return {str(name) for name in load_pickled(path)}
