"""Small dictionaries in the layouts of other tools, with each format's own definition in plain numpy.

Nothing here knows the readers: files are written and activations computed as the tools' sources say (formats.md).
Arrays are float64, so that a reader must agree to rounding.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save_file

N_LAYERS, D_MODEL, N_FEATURES = 2, 16, 24

Array = np.ndarray
Encode = Callable[[Array], Array]
Decode = Callable[[list[Array], list[Array]], list[Array]]


@dataclass(frozen=True)
class Foreign:
    """A folder, and per layer what it computes: `encode[l](x)`, and every layer's output from all of them."""

    folder: Path
    encode: tuple[Encode, ...]
    decode: Decode


class Numbers:
    """Random arrays, in a fixed order."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def matrix(self, *shape: int) -> Array:
        return self.random.normal(size=shape) / 4

    def vector(self, length: int) -> Array:
        return 0.3 * self.random.normal(size=length)

    def thresholds(self, length: int) -> Array:
        """Returns thresholds of which a few are below 0."""
        return self.random.uniform(-0.2, 0.6, size=length)


def relu(z: Array) -> Array:
    return np.maximum(z, 0)


def top(z: Array, k: int, rank: Array | None = None) -> Array:
    """Returns z with all but the k largest of each row, by `rank`, set to 0."""
    order = np.argsort(-(z if rank is None else rank), axis=1)[:, :k]
    kept = np.zeros_like(z)
    np.put_along_axis(kept, order, np.take_along_axis(z, order, axis=1), axis=1)
    return kept


def save(path: Path, **arrays: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def layer_by_layer(folder: Path, layers: list[tuple[Encode, Callable[[Array, Array], Array]]]) -> Foreign:
    """Returns a dictionary whose layers write only into themselves."""
    return Foreign(
        folder,
        tuple(encode for encode, _ in layers),
        lambda acts, xs: [decode(a, x) for (_, decode), a, x in zip(layers, acts, xs, strict=True)],
    )


def circuit_tracer_clt(
    folder: Path, *, skip: bool = False, threshold: bool = True, seed: int = 0, **config: Any
) -> Foreign:
    """Writes a cross-layer transcoder as circuit-tracer does; its skip is `x @ W_skip`."""
    numbers, layers = Numbers(seed), []
    for i in range(N_LAYERS):
        one = {
            "W_enc": numbers.matrix(N_FEATURES, D_MODEL),
            "b_enc": numbers.vector(N_FEATURES),
            "b_dec": numbers.vector(D_MODEL),
        }
        if threshold:
            one["threshold"] = numbers.thresholds(N_FEATURES)
        if skip:
            one["W_skip"] = numbers.matrix(D_MODEL, D_MODEL)
        decoder = numbers.matrix(N_FEATURES, N_LAYERS - i, D_MODEL)
        save(folder / f"W_enc_{i}.safetensors", **{f"{name}_{i}": array for name, array in one.items()})
        save(folder / f"W_dec_{i}.safetensors", **{f"W_dec_{i}": decoder})
        layers.append({**one, "W_dec": decoder})
    described = {
        "model_name": "some/tiny",
        "model_kind": "cross_layer_transcoder",
        "feature_input_hook": "hook_resid_mid",
        "feature_output_hook": "hook_mlp_out",
    } | config
    (folder / "config.yaml").write_text(yaml.safe_dump(described))

    def encode(one: dict[str, Array]) -> Encode:
        def of(x: Array) -> Array:
            z = x @ one["W_enc"].T + one["b_enc"]
            return z * (z > one["threshold"]) if threshold else relu(z)

        return of

    def decode(acts: list[Array], xs: list[Array]) -> list[Array]:
        written = []
        for out, x in enumerate(xs):
            y = layers[out]["b_dec"] + sum(acts[i] @ layers[i]["W_dec"][:, out - i] for i in range(out + 1))
            written.append(y + x @ layers[out]["W_skip"] if skip else y)
        return written

    return Foreign(folder, tuple(encode(one) for one in layers), decode)


def gemma_scope_arrays(numbers: Numbers, *, affine: bool = False, d_in: int = D_MODEL) -> dict[str, Array]:
    arrays = {
        "w_enc": numbers.matrix(d_in, N_FEATURES),
        "w_dec": numbers.matrix(N_FEATURES, d_in),
        "b_enc": numbers.vector(N_FEATURES),
        "b_dec": numbers.vector(d_in),
        "threshold": numbers.thresholds(N_FEATURES),
    }
    return arrays | ({"affine_skip_connection": numbers.matrix(d_in, d_in)} if affine else {})


def gemma_scope_encode(one: dict[str, Array]) -> Encode:
    def of(x: Array) -> Array:
        z = x @ one["w_enc"] + one["b_enc"]
        return relu(z) * (z > one["threshold"])

    return of


def gemma_scope_decode(one: dict[str, Array]) -> Callable[[Array, Array], Array]:
    def of(a: Array, x: Array) -> Array:
        y = a @ one["w_dec"] + one["b_dec"]
        return y + x @ one["affine_skip_connection"] if "affine_skip_connection" in one else y

    return of


def gemma_scope_1(root: Path, *, what: str = "transcoders", compressed: bool = False, seed: int = 0) -> Foreign:
    """Writes dictionaries as the first release has them: everything but the numbers is in the path."""
    folder, numbers, layers = root / f"gemma-scope-2b-pt-{what}", Numbers(seed), []
    for layer in range(N_LAYERS):
        one = gemma_scope_arrays(numbers)
        place = folder / f"layer_{layer}" / "width_16k" / f"average_l0_{50 + layer}"
        place.mkdir(parents=True)
        named = {name.replace("w_", "W_"): array for name, array in one.items()}
        (np.savez_compressed if compressed else np.savez)(place / "params.npz", **named)
        layers.append((gemma_scope_encode(one), gemma_scope_decode(one)))
    return layer_by_layer(folder, layers)


def gemma_scope_2(root: Path, *, described: bool = True, affine: bool = True, seed: int = 0) -> Foreign:
    """Writes transcoders as the second release has them, with their config.json or without."""
    folder, numbers, layers = root / "gemma-scope-2-1b-pt" / "transcoder_all", Numbers(seed), []
    for layer in range(N_LAYERS):
        one = gemma_scope_arrays(numbers, affine=affine)
        place = folder / f"layer_{layer}_width_16k_l0_small{'_affine' if affine else ''}"
        save(place / "params.safetensors", **one)
        if described:
            write_json(
                place / "config.json",
                {
                    "model_name": "google/gemma-v3-1b-pt",
                    "architecture": "jump_relu",
                    "hf_hook_point_in": f"model.layers.{layer}.pre_feedforward_layernorm.output",
                    "hf_hook_point_out": f"model.layers.{layer}.post_feedforward_layernorm.output",
                    "width": N_FEATURES,
                    "l0": 10,
                    "affine_connection": affine,
                    "type": "transcoder",
                },
            )
        layers.append((gemma_scope_encode(one), gemma_scope_decode(one)))
    return layer_by_layer(folder, layers)


def gemma_scope_clt(folder: Path, *, affine: bool = True, seed: int = 0) -> Foreign:
    """Writes a cross-layer transcoder as the second release has it: axis 1 of w_dec is the output layer."""
    numbers, layers = Numbers(seed), []
    for layer in range(N_LAYERS):
        one = gemma_scope_arrays(numbers, affine=affine) | {"w_dec": numbers.matrix(N_FEATURES, N_LAYERS, D_MODEL)}
        save(folder / f"params_layer_{layer}.safetensors", **one)
        layers.append(one)
    write_json(
        folder / "config.json", {"model_name": "google/gemma-3-1b-pt", "architecture": "jump_relu", "type": "clt"}
    )

    def decode(acts: list[Array], xs: list[Array]) -> list[Array]:
        written = []
        for out, x in enumerate(xs):
            y = layers[out]["b_dec"] + sum(acts[i] @ layers[i]["w_dec"][:, out] for i in range(out + 1))
            written.append(y + x @ layers[out]["affine_skip_connection"] if affine else y)
        return written

    return Foreign(folder, tuple(gemma_scope_encode(one) for one in layers), decode)
