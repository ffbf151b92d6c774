"""`config.yaml` of circuit-tracer's transcoder sets and cross-layer transcoders."""

import re
from pathlib import Path
from typing import Any

import yaml

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.stored import Point
from circuitbase.tracing.hook_names import layer_and_point

CONFIG_FILE = "config.yaml"
INPUT_HOOK, OUTPUT_HOOK = "feature_input_hook", "feature_output_hook"
TRANSCODER_SET, CROSS_LAYER = "transcoder_set", "cross_layer_transcoder"


def read_config(folder: Path) -> dict[str, Any]:
    """Returns what `folder/config.yaml` says; raises ModelError if it is no mapping, or says another kind."""
    path = folder / CONFIG_FILE
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} should hold YAML, but cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} should hold a mapping with the hooks and the model's name, but does not; correct it")
    kind = config.setdefault("model_kind", TRANSCODER_SET)
    if kind not in (TRANSCODER_SET, CROSS_LAYER):
        raise ModelError(
            f"{path}: model_kind must be {TRANSCODER_SET} or {CROSS_LAYER}, got {kind}; other kinds cannot be traced"
        )
    return config


def model_name(config: dict[str, Any]) -> str | None:
    """Returns the name of the model that the dictionary was made for, if it is said."""
    return str(config["model_name"]) if config.get("model_name") else None


def hook_points(config: dict[str, Any], folder: Path) -> tuple[Point, Point]:
    """Returns where the dictionary reads and writes, by the names in its configuration."""
    read, written = (
        Point(layer_and_point(str(config.get(key)))[1], f"{folder / CONFIG_FILE}: {key}")
        for key in (INPUT_HOOK, OUTPUT_HOOK)
    )
    return read, written


def lens_version(config: dict[str, Any], place: Path) -> int | None:
    """Returns the major version of TransformerLens that `transformer_lens_version` says, if it is there."""
    stated = config.get("transformer_lens_version")
    if stated is None:
        return None
    match = re.match(r"\d+", str(stated))
    if match is None:
        raise ModelError(f"{place}: transformer_lens_version must be a version such as 2.16, got {stated}")
    return int(match[0])
