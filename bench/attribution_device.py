"""Seconds per prompt on a device: a model of Gemma-2-2B's shape, made there with random weights in bfloat16.

Nothing is written but a tokenizer: `--scale` makes everything smaller, so that the same path can be tried on a CPU.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.attribution_shape import BOS, transcoder, write_tokenizer
from bench.attribution_stages import Stages
from bench.measurement import Measurement
from circuitbase.graph.trace import DictionaryIdentity, ModelIdentity
from circuitbase.tracing.activations import Relu
from circuitbase.tracing.attribution import trace
from circuitbase.tracing.dictionaries import Dictionary, LayerDictionary
from circuitbase.tracing.hooks import Hook
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.options import DType, TraceOptions
from circuitbase.tracing.parts import model_parts
from circuitbase.tracing.rows import LazyRows, ResidentRows, Rows
from circuitbase.tracing.tokenizing import PromptTokenizer

GOALS = {10: 1.0, 64: 5.0}  # tokens -> seconds a prompt, warm
REPEATS = 3
N_FEATURES = 16_384
ACTIVE = 30  # per layer and position: 8,000 on 10 tokens
SAMPLED, SAMPLED_LENGTH = 2048, 33
GB = 1e9


@dataclass(frozen=True)
class _Architecture:
    """`config` makes a transformers configuration whose sizes are multiplied by a scale."""

    name: str
    config: Callable[[float], Any]
    dtype: DType


def _gemma2(scale: float) -> Any:
    from transformers import Gemma2Config

    heads = max(2, 2 * round(4 * scale))
    return Gemma2Config(
        vocab_size=max(256, round(256_000 * scale)),
        hidden_size=max(32, 32 * round(72 * scale)),
        intermediate_size=max(64, 64 * round(144 * scale)),
        num_hidden_layers=max(2, round(26 * scale)),
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        head_dim=256 if scale >= 1 else 32,
        max_position_embeddings=8192,
        attn_implementation="eager",
    )


def _gpt2(scale: float) -> Any:
    from transformers import GPT2Config

    heads = max(2, round(12 * scale))
    return GPT2Config(
        vocab_size=max(256, round(50_257 * scale)),
        n_embd=64 * heads,
        n_layer=max(2, round(12 * scale)),
        n_head=heads,
        n_positions=128,
        attn_implementation="eager",
    )


ARCHITECTURES = {
    "gemma2": _Architecture("Gemma2ForCausalLM", _gemma2, "bfloat16"),  # type: ignore[arg-type]
    "gpt2": _Architecture("GPT2LMHeadModel", _gpt2, "float32"),
}


@torch.no_grad()
def device_seconds(device: str, *, architecture: str, scale: float) -> list[Measurement]:
    """Traces prompts of both lengths with resident rows and with rows that stay on the host."""
    generator = torch.Generator(device).manual_seed(0)
    with tempfile.TemporaryDirectory(prefix="circuitbase-bench-") as folder:
        model = random_model(ARCHITECTURES[architecture], Path(folder), device, scale, generator)
        weights = random_weights(model, max(128, round(N_FEATURES * scale)), generator)
        found = [Measurement(f"{architecture} on {_described(device)}, weights", _held(device), "GB", better="lower")]
        for kept in ("resident", "lazy"):
            dictionary = random_dictionary(model, weights, resident=kept == "resident")
            for tokens, goal in GOALS.items():
                name = f"{architecture}, {tokens} tokens, {kept} rows"
                found += _one_length(model, dictionary, tokens, name=name, goal=goal if scale >= 1 else None)
    return found


def random_model(
    chosen: _Architecture, folder: Path, device: str, scale: float, generator: torch.Generator
) -> TracedModel:
    """Returns a model of that shape with random weights, made on the device; `folder` gets its tokenizer."""
    from transformers import AutoModelForCausalLM

    config = chosen.config(scale)
    config.architectures = [chosen.name]
    config.bos_token_id = config.eos_token_id = BOS
    dtype = getattr(torch, chosen.dtype)
    with torch.device(device):
        module = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="eager").eval()
    for name, parameter in module.named_parameters():
        if parameter.ndim == 2:
            parameter.normal_(std=0.1 if "embed" in name or "wte" in name else 0.02, generator=generator)
    module.requires_grad_(False)
    config.save_pretrained(folder)
    n_layers, d_model, d_vocab = config.num_hidden_layers, config.hidden_size, config.vocab_size
    write_tokenizer(folder, d_vocab=d_vocab, n_positions=config.max_position_embeddings)
    identity = ModelIdentity(
        name="random", digest="0" * 64, tokenizer_digest="0" * 64, architecture=chosen.name, revision=None,
        n_layers=n_layers, d_model=d_model, d_vocab=d_vocab,
    )  # fmt: skip
    return TracedModel(
        identity=identity,
        module=module,
        parts=model_parts(module, architecture_name=chosen.name),
        tokenizer=PromptTokenizer(folder),
        dtype=chosen.dtype,
        device=str(torch.device(device)),
    )


def random_weights(model: TracedModel, n_features: int, generator: torch.Generator) -> list[dict[str, torch.Tensor]]:
    """Returns each layer's transcoder, with biases set on the MLPs' inputs on the model's own random prompts."""
    place, prompts = model.device, -(-SAMPLED // (SAMPLED_LENGTH - 1))
    tokens = torch.randint(1, model.identity.d_vocab, (prompts, SAMPLED_LENGTH), generator=generator, device=place)
    tokens[:, 0] = BOS
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def keep(_module: Any, given: Any, result: Any) -> None:
        seen.append((given[0][:, 1:].flatten(0, 1).float(), result[:, 1:].flatten(0, 1).float()))

    handles: list[Any] = [block.mlp.register_forward_hook(keep) for block in model.parts.blocks]
    for part in tokens.split(16):
        model.module(input_ids=part, use_cache=False, logits_to_keep=1)
    for handle in handles:
        handle.remove()
    n_layers, dtype = model.identity.n_layers, getattr(torch, model.dtype)
    active = min(ACTIVE, n_features / 16)
    return [
        {name: array.to(dtype) for name, array in _layer(seen[layer::n_layers], n_features, active, generator).items()}
        for layer in range(n_layers)
    ]


def random_dictionary(model: TracedModel, weights: list[dict[str, torch.Tensor]], *, resident: bool) -> Dictionary:
    """Returns the transcoders with their rows on the device, or on the host to be read when asked for."""
    dtype, device = getattr(torch, model.dtype), torch.device(model.device)

    def rows(matrix: torch.Tensor) -> Rows:
        return ResidentRows(matrix) if resident else LazyRows(matrix.cpu(), dtype, device)

    identity = DictionaryIdentity(
        name="random", digest="1" * 64, model=model.identity.id, kind="transcoder_set", site="mlp", activation="relu",
        n_features=len(weights[0]["b_enc"]),
    )  # fmt: skip
    layers = tuple(
        LayerDictionary(
            W_enc=rows(each["W_enc"]),
            W_dec=(rows(each["W_dec"]),),
            b_enc=each["b_enc"],
            b_dec=each["b_dec"],
            activation=Relu(),
        )
        for each in weights
    )
    return Dictionary(
        identity, reads=Hook.MLP_INPUT, writes=Hook.MLP_OUTPUT, layers=layers, dtype=model.dtype, device=model.device
    )


def _layer(
    seen: list[tuple[torch.Tensor, torch.Tensor]], n_features: int, active: float, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    r, y = (torch.cat(parts) for parts in zip(*seen, strict=True))
    return transcoder(r, y, n_features=n_features, active=active, generator=generator)


def _one_length(
    model: TracedModel, dictionary: Dictionary, tokens: int, *, name: str, goal: float | None
) -> list[Measurement]:
    generator = torch.Generator().manual_seed(tokens)
    ids = [BOS, *torch.randint(1, model.identity.d_vocab, (tokens,), generator=generator).tolist()]
    prompt, options = model.tokenizer.read(ids), TraceOptions(dtype=model.dtype)
    trace(model, dictionary, prompt, options)  # what comes first also loads kernels
    seconds = []
    for _ in range(REPEATS):
        before = _reset(model.device)
        begun = time.perf_counter()
        with Stages() as stages:
            found = trace(model, dictionary, prompt, options)
        seconds.append(time.perf_counter() - begun)
    counts = found.metadata.counts
    return [
        Measurement(
            f"{name}, {counts.active_features:,} active", statistics.median(seconds), "s", goal=goal, better="lower"
        ),
        *(
            Measurement(f"  of it {stage}", taken, "s", better="lower")
            for stage, taken in sorted(stages.seconds.items(), key=lambda each: -each[1])
            if taken > 0.02 * seconds[-1]
        ),
        Measurement(f"{name}, edges", counts.edges, ""),
        Measurement(f"{name}, memory above the loaded", _peak(model.device) - before, "GB", better="lower"),
    ]


def _described(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _held(device: str) -> float:
    return torch.cuda.memory_allocated(device) / GB if device.startswith("cuda") else 0.0


def _reset(device: str) -> float:
    """Starts the device's peak anew and returns what is held now; 0 where the device keeps no count."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
    return _held(device)


def _peak(device: str) -> float:
    return torch.cuda.max_memory_allocated(device) / GB if device.startswith("cuda") else 0.0
