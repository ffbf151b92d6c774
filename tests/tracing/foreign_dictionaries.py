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
    save_file({name: np.array(array, order="C") for name, array in arrays.items()}, path)


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


def circuit_tracer_set(
    folder: Path,
    *,
    activation: str = "jumprelu",
    skip: bool = False,
    n_features: int = N_FEATURES,
    transposed_decoder: bool = False,
    saved_k: bool = False,
    k: int = 6,
    seed: int = 0,
    **config: Any,
) -> Foreign:
    """Writes transcoders as circuit-tracer does; `transposed_decoder` as its ReLU files of 2025-06."""
    numbers, layers = Numbers(seed), []
    for layer in range(N_LAYERS):
        one = {
            "W_enc": numbers.matrix(n_features, D_MODEL),
            "W_dec": numbers.matrix(n_features, D_MODEL),
            "b_enc": numbers.vector(n_features),
            "b_dec": numbers.vector(D_MODEL),
        }
        if activation == "jumprelu":
            one["activation_function.threshold"] = numbers.thresholds(n_features)
        if skip:
            one["W_skip"] = numbers.matrix(D_MODEL, D_MODEL)
        saved = {**one, "W_dec": one["W_dec"].T} if transposed_decoder else one
        save(folder / f"layer_{layer}.safetensors", **saved, **({"k": np.array(k)} if saved_k else {}))
        layers.append(one)
    described = {
        "model_name": "some/tiny",
        "model_kind": "transcoder_set",
        "feature_input_hook": "hook_resid_mid",
        "feature_output_hook": "mlp.hook_out",
    }
    described |= ({"activation": "topk", "k": k} if activation == "topk" else {}) | config
    (folder / "config.yaml").write_text(yaml.safe_dump(described))

    def encode(one: dict[str, Array]) -> Encode:
        def of(x: Array) -> Array:
            z = x @ one["W_enc"].T + one["b_enc"]
            match activation:
                case "jumprelu":
                    return z * (z > one["activation_function.threshold"])
                case "topk":
                    return top(z, k)
                case _:
                    return relu(z)

        return of

    def decode(one: dict[str, Array]) -> Callable[[Array, Array], Array]:
        def of(a: Array, x: Array) -> Array:
            y = a @ one["W_dec"] + one["b_dec"]
            return y + x @ one["W_skip"].T if skip else y

        return of

    return layer_by_layer(folder, [(encode(one), decode(one)) for one in layers])


def listed(foreign: Foreign, *, folder: Path | None = None, earliest: bool = False) -> Foreign:
    """Returns the same dictionary with its files elsewhere, listed in a config.yaml; `earliest` as in 2025-06.

    Files in a folder of their own stay there, the others move into `files`.
    """
    if folder is None:
        folder, paths = foreign.folder, sorted(foreign.folder.glob("layer_*.safetensors"))
        (folder / "files").mkdir()
        names = [
            str(path.rename(folder / "files" / f"{9 - i}.safetensors").relative_to(folder))
            for i, path in enumerate(paths)
        ]
        described = yaml.safe_load((folder / "config.yaml").read_text())
    else:
        folder.mkdir()
        names = [str(path) for path in sorted(foreign.folder.rglob("params.npz"))]
        described = {"feature_input_hook": "hook_resid_mid", "feature_output_hook": "mlp.hook_out"}
    if earliest:
        described.pop("model_kind", None)
        entries = [{"id": f"tc-{layer}", "layer": layer, "filepath": name} for layer, name in enumerate(names)]
        described["transcoders"] = entries[::-1]
    else:
        described["transcoders"] = names
    (folder / "config.yaml").write_text(yaml.safe_dump(described))
    return Foreign(folder, foreign.encode, foreign.decode)


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


def sae_lens(
    folder: Path,
    *,
    architecture: str = "standard",
    hook: str = "blocks.{layer}.hook_mlp_out",
    hook_out: str | None = None,
    subtracts: bool = True,
    k: int = 6,
    by_norm: bool = False,
    scale: float | None = None,
    old: bool = False,
    function: str = "relu",
    log_threshold: bool = False,
    seed: int = 0,
    **metadata: Any,
) -> Foreign:
    """Writes dictionaries as SAELens does; `old` with the flat keys of versions before 6.

    With `scale` they normalise with `expected_average_only_in`, and a checkpoint's file says the constant.
    """
    numbers, layers = Numbers(seed), []
    for layer in range(N_LAYERS):
        one = {
            "W_enc": numbers.matrix(D_MODEL, N_FEATURES),
            "W_dec": numbers.matrix(N_FEATURES, D_MODEL),
            "b_dec": numbers.vector(D_MODEL),
        }
        for name in ("b_gate", "b_mag", "r_mag") if architecture == "gated" else ("b_enc",):
            one[name] = numbers.vector(N_FEATURES)
        if architecture.startswith("jumprelu"):
            one["threshold"] = numbers.thresholds(N_FEATURES)
        if log_threshold:
            one["threshold"] = np.abs(one["threshold"])
        if architecture == "batchtopk":
            one["topk_threshold"] = np.array(0.25)
        if "skip" in architecture:
            one["W_skip"] = numbers.matrix(D_MODEL, D_MODEL)
        place = folder / f"layer_{layer}"
        saved = {key: array for key, array in one.items() if not (log_threshold and key == "threshold")}
        save(
            place / "sae_weights.safetensors",
            **saved,
            **({"log_threshold": np.log(one["threshold"])} if log_threshold else {}),
        )
        described: dict[str, Any] = {"architecture": architecture, "d_in": D_MODEL, "d_sae": N_FEATURES}
        named = {"model_name": "tiny", **metadata}
        if old:
            described |= named | {
                "hook_point": hook.format(layer=layer),
                "activation_fn_str": function,
                "activation_fn_kwargs": {"k": k} if "topk" in function else {},
                "normalize_activations": scale is not None,
            }
        else:
            described |= {
                "apply_b_dec_to_input": subtracts,
                "normalize_activations": "none" if scale is None else "expected_average_only_in",
                "reshape_activations": "none",
                "metadata": named | {"hook_name": hook.format(layer=layer), "sae_lens_version": "6.54.0"},
            }
            if hook_out is not None:
                described["metadata"]["hook_name_out"] = hook_out.format(layer=layer)
                described["d_out"] = D_MODEL
            if architecture == "topk":
                described |= {"k": k, "rescale_acts_by_decoder_norm": by_norm}
        write_json(place / "cfg.json", described)
        if scale is not None:
            write_json(place / "activation_scaler.json", {"scaling_factor": scale})
        layers.append(one)
    s = 1.0 if scale is None else scale

    def encode(one: dict[str, Array]) -> Encode:
        def of(x: Array) -> Array:
            x = x * s
            x = x - one["b_dec"] if subtracts or old else x
            if architecture == "gated":
                gate = x @ one["W_enc"] + one["b_gate"] > 0
                return gate * relu(x @ (one["W_enc"] * np.exp(one["r_mag"])) + one["b_mag"])
            z = x @ one["W_enc"] + one["b_enc"]
            if "threshold" in one:
                return relu(z) * (z > one["threshold"])
            if architecture == "batchtopk":
                return relu(z) * (relu(z) > one["topk_threshold"])
            if function == "abstopk":
                return top(z, k, rank=np.abs(z))
            if architecture == "topk" or function == "topk":
                norm = np.linalg.norm(one["W_dec"], axis=1) if by_norm else 1.0
                return relu(top(z * norm, k)) / norm
            return relu(z)

        return of

    def decode(one: dict[str, Array]) -> Callable[[Array, Array], Array]:
        def of(a: Array, x: Array) -> Array:
            y = (a @ one["W_dec"] + one["b_dec"]) / s
            return y + x @ one["W_skip"].T if "W_skip" in one else y

        return of

    return layer_by_layer(folder, [(encode(one), decode(one)) for one in layers])


def sparsify(
    folder: Path,
    *,
    hook: str = "h.{layer}.mlp",
    transcode: bool | None = None,
    skip: bool = False,
    activation: str | None = None,
    k: int = 6,
    seed: int = 0,
) -> Foreign:
    """Writes dictionaries as sparsify does; without `transcode` as before 2025-02."""
    numbers, layers = Numbers(seed), []
    for layer in range(N_LAYERS):
        one = {
            "encoder.weight": numbers.matrix(N_FEATURES, D_MODEL),
            "encoder.bias": numbers.vector(N_FEATURES),
            "W_dec": numbers.matrix(N_FEATURES, D_MODEL),
            "b_dec": numbers.vector(D_MODEL),
        }
        if skip:
            one["W_skip"] = numbers.matrix(D_MODEL, D_MODEL)
        place = folder / hook.format(layer=layer)
        save(place / "sae.safetensors", **one)
        described = {"expansion_factor": 32, "k": k, "num_latents": 0, "skip_connection": skip, "d_in": D_MODEL}
        described |= {} if activation is None else {"activation": activation}
        write_json(place / "cfg.json", described | ({} if transcode is None else {"transcode": transcode}))
        layers.append(one)

    def encode(one: dict[str, Array]) -> Encode:
        def of(x: Array) -> Array:
            x = x if transcode else x - one["b_dec"]
            z = relu(x @ one["encoder.weight"].T + one["encoder.bias"])
            if activation != "groupmax":
                return top(z, k)
            groups = z.reshape(len(z), k, -1)
            return (groups * (groups == groups.max(axis=2, keepdims=True))).reshape(z.shape)

        return of

    def decode(one: dict[str, Array]) -> Callable[[Array, Array], Array]:
        def of(a: Array, x: Array) -> Array:
            y = a @ one["W_dec"] + one["b_dec"]
            return y + x @ one["W_skip"].T if skip else y

        return of

    return layer_by_layer(folder, [(encode(one), decode(one)) for one in layers])


def dictionary_learning(
    folder: Path, *, dict_class: str = "AutoEncoder", submodule: str | None = "mlp_out_layer_{layer}", seed: int = 0
) -> Foreign:
    """Writes dictionaries as dictionary_learning does."""
    import torch

    linear = dict_class not in ("JumpReluAutoEncoder", "MatryoshkaBatchTopKSAE")
    names = {  # (b_enc, b_dec) of each class
        "AutoEncoder": ("encoder.bias", "bias"),
        "AutoEncoderNew": ("encoder.bias", "decoder.bias"),
        "AutoEncoderTopK": ("encoder.bias", "b_dec"),
        "BatchTopKSAE": ("encoder.bias", "b_dec"),
        "GatedAutoEncoder": ("gate_bias", "decoder_bias"),
    }.get(dict_class, ("b_enc", "b_dec"))
    numbers, layers, k = Numbers(seed), [], 6
    for layer in range(N_LAYERS):
        one = {
            "encoder.weight": numbers.matrix(N_FEATURES, D_MODEL),
            "decoder.weight": numbers.matrix(D_MODEL, N_FEATURES),
            names[0]: numbers.vector(N_FEATURES),
            names[1]: numbers.vector(D_MODEL),
        }
        if not linear:
            one["W_enc"], one["W_dec"] = one.pop("encoder.weight").T, one.pop("decoder.weight").T
        if dict_class == "GatedAutoEncoder":
            one |= {"mag_bias": numbers.vector(N_FEATURES), "r_mag": numbers.vector(N_FEATURES)}
        if dict_class == "JumpReluAutoEncoder":
            one["threshold"] = numbers.thresholds(N_FEATURES)
        if "TopK" in dict_class:
            one |= {"k": np.array(k), "threshold": np.array(0.3)}
        place = folder / f"trainer_{layer}"
        place.mkdir(parents=True)
        torch.save({name: torch.tensor(array) for name, array in one.items()}, place / "ae.pt")
        trainer = {
            "dict_class": dict_class,
            "activation_dim": D_MODEL,
            "dict_size": N_FEATURES,
            "layer": layer,
            "lm_name": "some/tiny",
            "submodule_name": None if submodule is None else submodule.format(layer=layer),
        } | ({"k": k} if "TopK" in dict_class else {})
        write_json(place / "config.json", {"trainer": trainer, "buffer": {}})
        layers.append(one)

    def encode(one: dict[str, Array]) -> Encode:
        W_enc = one["encoder.weight"].T if linear else one["W_enc"]

        def of(x: Array) -> Array:
            if dict_class not in ("AutoEncoderNew", "JumpReluAutoEncoder"):
                x = x - one[names[1]]
            if dict_class == "GatedAutoEncoder":
                gate = x @ W_enc + one["gate_bias"] > 0
                return gate * relu(np.exp(one["r_mag"]) * (x @ W_enc) + one["mag_bias"])
            z = x @ W_enc + one[names[0]]
            if dict_class == "AutoEncoderTopK":
                return top(relu(z), k)
            if "threshold" in one and dict_class == "JumpReluAutoEncoder":
                return relu(z * (z > one["threshold"]))
            return relu(z) * (relu(z) > one["threshold"]) if "threshold" in one else relu(z)

        return of

    def decode(one: dict[str, Array]) -> Callable[[Array, Array], Array]:
        W_dec = one["decoder.weight"].T if linear else one["W_dec"]
        return lambda a, x: a @ W_dec + one[names[1]]

    return layer_by_layer(folder, [(encode(one), decode(one)) for one in layers])
