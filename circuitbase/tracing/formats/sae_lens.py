"""SAELens: `cfg.json` and `sae_weights.safetensors` for each layer (arrays: `sae_lens_tensors`).

Versions from 6 on say what is about training under `metadata`; earlier ones have flat keys, and other names for some.
"""

from pathlib import Path
from typing import Any

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.circuit_tracer_config import lens_version
from circuitbase.tracing.formats.headers import tensor_shapes
from circuitbase.tracing.formats.json_config import positive_integer, read_json
from circuitbase.tracing.formats.sae_lens_tensors import sae_lens_layer
from circuitbase.tracing.formats.stored import Described, FoundLayer, Point, Rule
from circuitbase.tracing.hook_names import layer_and_point

CONFIG, WEIGHTS, SCALER = "cfg.json", "sae_weights.safetensors", "activation_scaler.json"
ARCHITECTURES = (
    "standard",
    "topk",
    "jumprelu",
    "gated",
    "batchtopk",
    "transcoder",
    "skip_transcoder",
    "jumprelu_transcoder",
    "jumprelu_skip_transcoder",
)
PER_TOKEN = ("constant_norm_rescale", "layer_norm")


def read_sae_lens(place: Path, folder: Path) -> FoundLayer:
    """Returns a layer's dictionary; raises ModelError for what is wrong with it or cannot be traced."""
    path, weights = place / CONFIG, place / WEIGHTS
    config = read_json(path)
    said = {**config, **(config.get("metadata") or {})}
    architecture = str(said.get("architecture", "standard"))
    if architecture not in ARCHITECTURES:
        raise ModelError(f"{path}: architecture must be one of {', '.join(ARCHITECTURES)}, got {architecture}")
    if said.get("hook_head_index", said.get("hook_point_head_index")) is not None:
        raise ModelError(f"{path}: dictionaries of a single attention head (hook_head_index) cannot be traced")
    if said.get("finetuning_scaling_factor") is True:
        raise ModelError(
            f"{path}: finetuning_scaling_factor is applied by some versions of SAELens and not by others, so what the "
            "dictionary computes is not certain; give one without"
        )
    layer, reads, writes = _points(said, architecture, path)
    scale, scaler = _scale(said, place)
    rule, k = _rule(said, architecture, path)
    tensors, (n_features, d_read, d_write) = sae_lens_layer(
        weights,
        tensor_shapes(weights),
        architecture,
        k=k,
        subtracts_b_dec=_subtracts(said, architecture, path),
        scale=scale,
    )
    if k is not None and k > n_features:
        raise ModelError(f"{path}: k must be at most the {n_features} features, got {k}")
    described = Described(
        kind="transcoder_set" if architecture.endswith("transcoder") else "sae_set",
        reads=reads,
        writes=writes,
        rule=rule,
        n_features=n_features,
        d_read=d_read,
        d_write=d_write,
        model_name=said.get("model_name"),
        named_in=f"its {CONFIG}",
        lens_version=lens_version(said, path),
        processing=frozenset(
            name for name, on in (said.get("model_from_pretrained_kwargs") or {}).items() if on is True
        ),
    )
    return FoundLayer(layer, place, described, tensors, files=(path, weights, *scaler))


def _points(said: dict[str, Any], architecture: str, path: Path) -> tuple[int, Point, Point]:
    name = str(said.get("hook_name", said.get("hook_point")))
    written = name
    if architecture.endswith("transcoder"):
        written = str(said.get("hook_name_out"))
    elif said.get("hook_name_out") not in (None, name):
        raise ModelError(f"{path}: hook_name_out must be hook_name where the architecture is {architecture}")
    layer, reads = _point(name)
    other_layer, writes = _point(written)
    in_module = said.get("hf_hook_name")  # says which of two tensors hook_mlp_in is
    if reads == "hook_mlp_in" and in_module is not None:
        reads = _point(str(in_module))[1]
    if layer is None or other_layer != layer:
        raise ModelError(
            f"{path}: hook_name and hook_name_out should name one layer, such as blocks.3.hook_mlp_out, got {name} "
            f"and {written}"
        )
    return layer, Point(reads, f"{path}: hook_name"), Point(writes, f"{path}: hook_name_out")


def _point(name: str) -> tuple[int | None, str]:
    """Returns the layer and the hook of a TransformerLens name, or of a module, of which the output is meant."""
    layer, rest = layer_and_point(name)
    if "hook_" in rest or rest.endswith(("input", "output")):
        return layer, rest
    return layer, f"{rest}.output" if rest else "output"


def _scale(said: dict[str, Any], place: Path) -> tuple[float, tuple[Path, ...]]:
    """Returns the constant of the data set that activations are multiplied by, and the file that says it."""
    stated = said.get("normalize_activations")
    if stated in (None, "none", False):
        return 1.0, ()
    if stated in PER_TOKEN:
        raise ModelError(
            f"{place / CONFIG}: normalize_activations {stated} divides each token by a size of its own, which a "
            "dictionary with fixed weights cannot, so it cannot be traced; give one with none"
        )
    if stated not in (True, "expected_average_only_in"):
        raise ModelError(f"{place / CONFIG}: normalize_activations must be none, got {stated}; it cannot be traced")
    path = place / SCALER
    if not path.is_file():
        raise ModelError(
            f"{place / CONFIG}: normalize_activations expected_average_only_in multiplies activations by a constant of "
            f"the training data that is not in the folder; add {SCALER} of the training checkpoint, which holds it as "
            "scaling_factor"
        )
    factor = read_json(path).get("scaling_factor")
    if not isinstance(factor, int | float) or isinstance(factor, bool) or not factor > 0:
        raise ModelError(f"{path}: scaling_factor must be a positive number, got {factor}")
    return float(factor), (path,)


def _rule(said: dict[str, Any], architecture: str, path: Path) -> tuple[Rule, int | None]:
    function = said.get("activation_fn_str", said.get("activation_fn", "relu"))
    by_norm = said.get("rescale_acts_by_decoder_norm") is True
    if architecture == "batchtopk" and by_norm:
        raise ModelError(
            f"{path}: a batchtopk checkpoint with rescale_acts_by_decoder_norm cannot be traced; save it as SAELens "
            "saves it for inference, as jumprelu"
        )
    if architecture.startswith(("jumprelu", "gated", "batchtopk")):
        return Rule("jumprelu", relu=True), None
    if architecture == "topk" or function in ("topk", "abstopk"):
        given = said if said.get("k") is not None else said.get("activation_fn_kwargs") or {}
        magnitude = function == "abstopk"
        rule = Rule("topk", relu=not magnitude, by_magnitude=magnitude, by_decoder_norm=by_norm)
        return rule, positive_integer(given, "k", path)
    if function != "relu":
        raise ModelError(f"{path}: activation_fn_str must be relu, topk or abstopk, got {function}")
    return Rule("relu", relu=True), None


def _subtracts(said: dict[str, Any], architecture: str, path: Path) -> bool:
    stated = said.get("apply_b_dec_to_input")
    if stated is None and architecture.endswith("transcoder"):
        raise ModelError(
            f"{path} should say apply_b_dec_to_input, which changes what is computed, but does not; add it"
        )
    return stated is None or bool(stated)
