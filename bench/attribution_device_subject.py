"""Random models of real architectures with transcoders, made on the device; only a tokenizer is written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.attribution_shape import BOS, silently, write_tokenizer
from bench.attribution_transcoder import transcoder
from circuitbase.graph.trace import DictionaryIdentity, ModelIdentity
from circuitbase.tracing.activations import Relu
from circuitbase.tracing.adapters import model_parts
from circuitbase.tracing.dictionaries import Dictionary, LayerDictionary
from circuitbase.tracing.hooks import Hook
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.rows import LazyRows, Rows
from circuitbase.tracing.tokenizing import PromptTokenizer

ACTIVE = 30.0  # features per layer and position: about 8,000 on 10 tokens of 26 layers
SAMPLED, SAMPLED_LENGTH = 2048, 33  # positions that biases are set on
AT_ONCE = 16  # prompts of one forward pass


@dataclass(frozen=True)
class Architecture:
    """`config` makes a transformers configuration; its sizes are those of a real model times a scale."""

    name: str
    config: Callable[[float], Any]
    dtype: Any  # as TraceOptions names it


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
        bos_token_id=BOS,
        eos_token_id=BOS,
        pad_token_id=BOS,
    )


def _gpt2(scale: float) -> Any:
    from transformers import GPT2Config

    heads = max(2, round(12 * scale))
    return GPT2Config(
        vocab_size=max(256, round(50_257 * scale)),
        n_embd=64 * heads,
        n_layer=max(2, round(12 * scale)),
        n_head=heads,
        bos_token_id=BOS,
        eos_token_id=BOS,
    )


ARCHITECTURES = {
    "gemma2": Architecture("Gemma2ForCausalLM", _gemma2, "bfloat16"),  # at scale 1 the shape of Gemma-2-2B
    "gpt2": Architecture("GPT2LMHeadModel", _gpt2, "float32"),
}


def random_model(
    chosen: Architecture, folder: Path, device: str, scale: float, generator: torch.Generator
) -> TracedModel:
    """Returns a model of that shape with random weights; `folder` gets its configuration and tokenizer."""
    from transformers import AutoModelForCausalLM

    config = chosen.config(scale)
    config.architectures = [chosen.name]
    dtype = getattr(torch, chosen.dtype)
    with silently(), torch.device(device):
        module = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="eager").eval()
        config.save_pretrained(folder)
    for name, parameter in module.named_parameters():
        if parameter.ndim == 2:
            parameter.normal_(std=0.1 if "embed" in name or "wte" in name else 0.02, generator=generator)
    n_layers, d_model, d_vocab = config.num_hidden_layers, config.hidden_size, config.vocab_size
    write_tokenizer(folder, d_vocab=d_vocab, n_positions=config.max_position_embeddings)
    identity = ModelIdentity(
        name="random", digest="0" * 64, tokenizer_digest="0" * 64, architecture=chosen.name, revision=None,
        n_layers=n_layers, d_model=d_model, d_vocab=d_vocab,
    )  # fmt: skip
    return TracedModel(
        identity=identity,
        module=module.requires_grad_(False),
        parts=model_parts(module, architecture_name=chosen.name),
        tokenizer=PromptTokenizer(folder),
        dtype=chosen.dtype,
        device=str(torch.device(device)),
    )


def random_weights(model: TracedModel, n_features: int, generator: torch.Generator) -> list[dict[str, Tensor]]:
    """Returns each layer's transcoder, with biases set on what the MLPs read on the model's own random prompts."""
    size = (-(-SAMPLED // (SAMPLED_LENGTH - 1)), SAMPLED_LENGTH)
    tokens = torch.randint(1, model.identity.d_vocab, size, generator=generator, device=model.device)
    tokens[:, 0] = BOS
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(_module: Any, given: Any, result: Any) -> None:
        seen.append((given[0][:, 1:].flatten(0, 1).float(), result[:, 1:].flatten(0, 1).float()))

    handles: list[Any] = [block.mlp.register_forward_hook(keep) for block in model.parts.blocks]
    for part in tokens.split(AT_ONCE):
        model.module(input_ids=part, use_cache=False, logits_to_keep=1)
    for handle in handles:
        handle.remove()
    n_layers, dtype = model.identity.n_layers, getattr(torch, model.dtype)
    found = []
    for layer in range(n_layers):
        r, y = (torch.cat(parts) for parts in zip(*seen[layer::n_layers], strict=True))
        weights = transcoder(r, y, n_features=n_features, active=min(ACTIVE, n_features / 16), generator=generator)
        found.append({name: array.to(dtype) for name, array in weights.items()})
    return found


def random_dictionary(model: TracedModel, weights: list[dict[str, Tensor]], *, resident: bool) -> Dictionary:
    """Returns the transcoders with their rows on the device, or on the host to be read when asked for.

    Rows lie there in the model's dtype and come out in float32, in which everything is added up.
    """
    device = torch.device(model.device)

    def rows(matrix: Tensor) -> Rows:
        kept = matrix if resident else matrix.cpu()
        return LazyRows(lambda: kept, torch.float32, device)

    identity = DictionaryIdentity(
        name="random", digest="1" * 64, model=model.identity.id, kind="transcoder_set", site="mlp", activation="relu",
        n_features=len(weights[0]["b_enc"]),
    )  # fmt: skip
    layers = tuple(
        LayerDictionary(
            W_enc=rows(each["W_enc"]),
            W_dec=(rows(each["W_dec"]),),
            b_enc=each["b_enc"].float(),
            b_dec=each["b_dec"].float(),
            activation=Relu(),
        )
        for each in weights
    )
    return Dictionary(
        identity, reads=Hook.MLP_INPUT, writes=Hook.MLP_OUTPUT, layers=layers, dtype=model.dtype, device=model.device
    )
