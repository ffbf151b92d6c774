"""circuitbase's view of a transcoder set in circuit-tracer's layout, read without its weights.

`config.yaml` names the model and the hooks, `layer_{i}.safetensors` holds layer i's `W_enc [F, d]`, `W_dec [F, d]`,
`b_enc [F]`, `b_dec [d]`, optionally `activation_function.threshold [F]` (then JumpReLU) and `W_skip [d, d]`. Every
shape is checked here, from the files' headers, so that a wrong folder is refused before anything is queued.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from safetensors import SafetensorError, safe_open

from circuitbase.errors import ModelError

Activation = Literal["relu", "topk", "jumprelu"]
ReadHook = Literal["hook_resid_mid", "ln2.hook_normalized", "mlp.hook_in"]

WriteHook = Literal["mlp.hook_out", "hook_mlp_out"]

Name = TypeVar("Name", bound=str)

READ_HOOKS: tuple[ReadHook, ...] = ("mlp.hook_in", "hook_resid_mid", "ln2.hook_normalized")
WRITE_HOOKS: tuple[WriteHook, ...] = ("mlp.hook_out", "hook_mlp_out")
CONFIG_FILE = "config.yaml"
THRESHOLD = "activation_function.threshold"
SAVED_K = "k"  # a scalar that saved TopK sets add to each layer's file
LAYER_FILE = re.compile(r"layer_(\d+)\.safetensors")


@dataclass(frozen=True)
class TranscoderSet:
    """A folder's transcoders, one per layer; `k` is given for TopK alone.

    `lens_version` is the major version of TransformerLens whose `ln2.hook_normalized` is meant, if
    config.yaml says it (`transformer_lens_version`).
    """

    folder: Path
    model_name: str | None
    reads: ReadHook
    writes: WriteHook
    activation: Activation
    k: int | None
    lens_version: int | None
    n_features: int
    d_model: int
    skip: bool
    layer_files: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Returns every file that says what the dictionary computes."""
        return (self.folder / CONFIG_FILE, *self.layer_files)


def read_transcoder_set(folder: Path) -> TranscoderSet:
    """Returns the description of a folder's transcoders; raises ModelError that says what is wrong with it."""
    config = _read_config(folder)
    files = _layer_files(folder)
    shapes = [_shapes(path) for path in files]
    n_features, d_model = _sizes(files, shapes)
    activation, k = _activation(config, files, shapes)
    if k is not None and k > n_features:
        raise ModelError(f"{folder / CONFIG_FILE}: k must be at most the {n_features} features of a layer, got {k}")
    return TranscoderSet(
        folder=folder,
        model_name=str(config["model_name"]) if config.get("model_name") else None,
        reads=_hook(config, "feature_input_hook", READ_HOOKS, folder),
        writes=_hook(config, "feature_output_hook", WRITE_HOOKS, folder),
        activation=activation,
        k=k,
        lens_version=_lens_version(config, folder),
        n_features=n_features,
        d_model=d_model,
        skip=any("W_skip" in found for found in shapes),
        layer_files=files,
    )


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"{folder} should be a transcoder set in circuit-tracer's layout, but its {CONFIG_FILE} cannot be read "
            f"({error.strerror}); check the path"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} should hold YAML, but cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} should hold a mapping with the hooks and the model's name, but does not; correct it")
    kind = config.get("model_kind", "transcoder_set")
    if kind != "transcoder_set":
        raise ModelError(f"{path}: model_kind must be transcoder_set, got {kind}; other kinds cannot be traced yet")
    if "transcoders" in config:
        raise ModelError(
            f"{path} lists its files under `transcoders`, but only files named layer_0.safetensors, layer_1... beside "
            "it are read; save them so and remove the list"
        )
    return config


def _layer_files(folder: Path) -> tuple[Path, ...]:
    layers = {int(match[1]): path for path in folder.iterdir() if (match := LAYER_FILE.fullmatch(path.name))}
    if not layers:
        raise ModelError(f"{folder} should hold layer_0.safetensors and so on, but holds none; check the path")
    missing = sorted(set(range(max(layers))) - set(layers))
    if missing:
        names = ", ".join(f"layer_{layer}.safetensors" for layer in missing)
        raise ModelError(f"{folder} should hold a file for every layer up to {max(layers)}, but lacks {names}; add it")
    return tuple(layers[layer] for layer in range(len(layers)))


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no dict
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} should be a safetensors file, but cannot be read ({error}); fetch it again"
        ) from error


def _sizes(files: tuple[Path, ...], shapes: list[dict[str, tuple[int, ...]]]) -> tuple[int, int]:
    """Returns (features per layer, d_model), which every layer's file must agree on."""
    sizes = [_layer_sizes(path, found) for path, found in zip(files, shapes, strict=True)]
    (common, _), *others = Counter(sizes).most_common()
    if others:
        odd = next(path for path, size in zip(files, sizes, strict=True) if size == others[0][0])
        raise ModelError(
            f"every layer must have the same shape, but {odd} has {others[0][0][0]} features of width "
            f"{others[0][0][1]} where others have {common[0]} of width {common[1]}"
        )
    return common


def _layer_sizes(path: Path, found: dict[str, tuple[int, ...]]) -> tuple[int, int]:
    needed = ("W_enc", "W_dec", "b_enc", "b_dec")
    if missing := [name for name in needed if name not in found]:
        raise ModelError(f"{path} should hold {', '.join(needed)}, but lacks {', '.join(missing)}; fetch it again")
    known = {"W_enc", "W_dec", "b_enc", "b_dec", "W_skip", THRESHOLD, SAVED_K}
    if unknown := sorted(set(found) - known):
        raise ModelError(
            f"{path} holds {', '.join(unknown)}, which a transcoder set has no use for; if the transcoder is of "
            "another kind, it cannot be traced yet"
        )
    wrong = [name for name in ("b_enc", "b_dec") if len(found[name]) != 1]
    if wrong:
        raise ModelError(f"{path}: {wrong[0]} must have one dimension, got {list(found[wrong[0]])}")
    (n_features,), (d_model,) = found["b_enc"], found["b_dec"]
    expected = {
        "W_enc": (n_features, d_model),
        "W_dec": (n_features, d_model),
        THRESHOLD: (n_features,),
        "W_skip": (d_model, d_model),
    }
    for name, shape in expected.items():
        if name in found and found[name] != shape:
            transposed = " (it seems to be transposed)" if found[name] == shape[::-1] else ""
            raise ModelError(
                f"{path}: {name} must have the shape {list(shape)}, by the lengths of b_enc and b_dec, "
                f"got {list(found[name])}{transposed}; save it as circuit-tracer does"
            )
    return n_features, d_model


def _activation(
    config: dict[str, Any], files: tuple[Path, ...], shapes: list[dict[str, tuple[int, ...]]]
) -> tuple[Activation, int | None]:
    stated = config.get("activation")
    if stated not in (None, "relu", "topk", "jumprelu"):
        raise ModelError(f"{files[0].parent / CONFIG_FILE}: activation must be relu, topk or jumprelu, got {stated}")
    without = [path.name for path, found in zip(files, shapes, strict=True) if THRESHOLD not in found]
    if 0 < len(without) < len(files):
        raise ModelError(f"either every layer or none must have {THRESHOLD}, but {', '.join(without)} lacks it")
    if (not without) != (stated == "jumprelu") and (stated is not None):
        has = "have" if not without else "lack"
        raise ModelError(
            f"{files[0].parent / CONFIG_FILE} states the activation {stated}, but the layers {has} {THRESHOLD}; "
            "correct the one that is wrong"
        )
    if not without:
        return "jumprelu", None
    if stated != "topk":
        return "relu", None
    k = config.get("k")
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ModelError(
            f"{files[0].parent / CONFIG_FILE}: k must be a positive integer where the activation is topk, got {k}"
        )
    return "topk", k


def _hook(config: dict[str, Any], key: str, hooks: tuple[Name, ...], folder: Path) -> Name:
    stated = _without_block(config.get(key))
    for hook in hooks:
        if stated == hook:
            return hook
    raise ModelError(f"{folder / CONFIG_FILE}: {key} must be one of {', '.join(hooks)}, got {stated}")


def _without_block(hook: Any) -> str:
    return re.sub(r"^blocks\.(\d+|\{\w+\})\.", "", str(hook))


def _lens_version(config: dict[str, Any], folder: Path) -> int | None:
    stated = config.get("transformer_lens_version")
    if stated is None:
        return None
    match = re.match(r"\d+", str(stated))
    if match is None:
        raise ModelError(
            f"{folder / CONFIG_FILE}: transformer_lens_version must be a version such as 2.16, got {stated}"
        )
    return int(match[0])
