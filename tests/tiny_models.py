"""Tiny random models and dictionaries in the layouts of real ones: a real trace in milliseconds, for any test."""

from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import save_file

from circuitbase.graph.trace import Trace
from circuitbase.tracing.options import RoleTarget, TraceOptions

BOS, UNKNOWN = "<bos>", "<unk>"
WORDS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi "
    "psi omega is the of"
).split()
PROMPT = "the alpha of beta is"


def write_tiny_model(
    folder: Path,
    *,
    seed: int = 0,
    n_layers: int = 2,
    d_model: int = 16,
    n_heads: int = 2,
    n_positions: int = 16,
    bos: bool = True,
    scale: float = 1.0,
) -> Path:
    """Writes a random GPT-2 with a word-level tokenizer and returns its folder.

    Unlike a fresh GPT-2, its biases, norm weights and positional embeddings are far from 0 and 1.
    With `bos` the tokenizer puts <bos> in front. The vocabulary is <bos>, <unk> and `WORDS`.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    generator = torch.Generator().manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(WORDS) + 2,
        n_positions=n_positions,
        n_embd=d_model,
        n_layer=n_layers,
        n_head=n_heads,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            random = torch.randn(parameter.shape, generator=generator)
            if name.endswith("weight") and ".ln_" in name:
                parameter.copy_(1 + 0.3 * random)
            elif name.endswith("bias"):
                parameter.copy_(0.2 * random)
            elif "wte" in name or "wpe" in name:
                parameter.copy_(0.5 * random)
            else:
                parameter.copy_(scale * random / parameter.shape[0] ** 0.5)
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
    import json

    config = json.loads((model_folder / "config.json").read_text())
    width, random = config["n_embd"], np.random.default_rng(seed)
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
    for layer in range(config["n_layer"]):
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
