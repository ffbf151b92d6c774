"""Tiny random models and dictionaries in the layouts of real ones: a real trace in milliseconds, for any test."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save_file

from circuitbase.graph.trace import Trace
from circuitbase.tracing.model_config import read_model_config
from circuitbase.tracing.options import RoleTarget, TraceOptions
from tests.tiny_configs import WORDS, tiny_config

BOS, UNKNOWN = "<bos>", "<unk>"
PROMPT = "the alpha of beta is"


def write_tiny_model(
    folder: Path,
    *,
    architecture: str = "GPT2LMHeadModel",
    seed: int = 0,
    n_layers: int = 2,
    d_model: int = 16,
    n_heads: int | None = None,
    n_positions: int = 16,
    bos: bool = True,
    scale: float = 1.0,
    settings: dict[str, Any] | None = None,
) -> Path:
    """Writes a random model with a word-level tokenizer and returns its folder.

    Unlike fresh ones, its biases, norm weights and positional embeddings are far from 0 and 1. It has 2 heads if it
    is a GPT-2, else 4, two to a group of keys and values where the architecture has groups; `settings` go into its
    configuration. With `bos` the tokenizer puts <bos> in front. The vocabulary is <bos>, <unk> and `WORDS`.
    """
    import torch
    import transformers

    generator = torch.Generator().manual_seed(seed)
    config = tiny_config(
        architecture,
        {"n_layers": n_layers, "d_model": d_model, "n_heads": n_heads, "n_positions": n_positions},
        settings or {},
    )
    model = getattr(transformers, architecture)(config).eval()
    adds_one = architecture.startswith("Gemma")  # to the weights of its norms
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            random = torch.randn(parameter.shape, generator=generator)
            if name.endswith("weight") and (".ln_" in name or "norm" in name):
                parameter.copy_((0 if adds_one else 1) + 0.3 * random)
            elif name.endswith("bias"):
                parameter.copy_(0.2 * random)
            elif "wte" in name or "wpe" in name or "embed" in name:
                parameter.copy_(0.5 * random / (d_model**0.5 if adds_one else 1))
            else:
                inputs = parameter.shape[0 if architecture.startswith("GPT2") else -1]
                parameter.copy_(scale * random / inputs**0.5)
    model.save_pretrained(folder)
    _write_tokenizer(folder, bos=bos, n_positions=n_positions)
    return folder


def write_tiny_dictionary(
    folder: Path,
    model_folder: Path,
    *,
    seed: int = 0,
    n_features: int = 24,
    activation: str = "jumprelu",
    k: int = 6,
    skip: bool = False,
    reads: str = "mlp.hook_in",
    writes: str = "mlp.hook_out",
    lens_version: str | None = None,
    model_name: str | None = None,
    dtype: type[np.floating] = np.float32,
) -> Path:
    """Writes random transcoders for a tiny model in circuit-tracer's layout and returns their folder.

    About a third of the features are active at each position (with `topk`: `k` of them). The model
    name in its config.yaml is the folder's, unless given.
    """
    config = read_model_config(model_folder)
    width, random = config.d_model, np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "model_name": model_name or (model_folder.parent.name if model_folder.name == "model" else model_folder.name),
        "model_kind": "transcoder_set",
        "feature_input_hook": reads,
        "feature_output_hook": writes,
    }
    if lens_version is not None:
        described["transformer_lens_version"] = lens_version
    if activation == "topk":
        described |= {"activation": "topk", "k": k}
    (folder / "config.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    for layer in range(config.n_layers):
        arrays = {
            "W_enc": random.normal(size=(n_features, width)) / width**0.5,
            "W_dec": random.normal(size=(n_features, width)) / 3,
            "b_enc": 0.2 * random.normal(size=n_features) - (0.3 if activation == "relu" else 0),
            "b_dec": 0.3 * random.normal(size=width),
        }
        if activation == "jumprelu":
            arrays["activation_function.threshold"] = random.uniform(0.1, 0.7, size=n_features)
        if skip:
            arrays["W_skip"] = 0.5 * random.normal(size=(width, width)) / width**0.5
        save_file({name: array.astype(dtype) for name, array in arrays.items()}, folder / f"layer_{layer}.safetensors")
    return folder


def tiny_trace(
    folder: Path,
    *,
    prompt: str = PROMPT,
    seed: int = 0,
    options: TraceOptions = TraceOptions(),  # noqa: B008  # frozen
    roles: tuple[RoleTarget, ...] = (),
) -> Trace:
    """Returns a real trace of a tiny model; model and dictionary are written below `folder` once per seed."""
    from circuitbase.tracing.attribution import trace
    from circuitbase.tracing.dictionaries import load_dictionary
    from circuitbase.tracing.models import load_model

    model_folder, dictionary_folder = folder / f"tiny{seed}" / "model", folder / f"tiny{seed}" / "transcoders"
    if not dictionary_folder.exists():
        write_tiny_model(model_folder, seed=seed)
        write_tiny_dictionary(dictionary_folder, model_folder, seed=seed)
    model = load_model(model_folder, dtype=options.dtype, device="cpu")
    dictionary = load_dictionary(dictionary_folder, model=model, dtype=options.dtype, device="cpu")
    return trace(model, dictionary, model.tokenizer.read(prompt), options, roles=roles)


def _write_tokenizer(folder: Path, *, bos: bool, n_positions: int) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: token for token, word in enumerate([BOS, UNKNOWN, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 0)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, unk_token=UNKNOWN, model_max_length=n_positions
    ).save_pretrained(folder)
