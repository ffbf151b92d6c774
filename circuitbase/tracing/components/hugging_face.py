"""A loaded Hugging Face model as a ComponentModel, for every architecture that `adapters` knows.

Where norms, values and outputs are is said there; here where queries, keys and neurons are, and how scores are made.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from circuitbase.errors import ModelError
from circuitbase.tracing.components.component_model import ComponentModel, Embedding
from circuitbase.tracing.components.inner_weights import (
    NeuronWeights,
    QueryKeyWeights,
    neuron_weights,
    query_key_weights,
)
from circuitbase.tracing.components.layers import AttentionLayer, HeadNorm, MlpLayer, Rotations, Scoring
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.parts import Block, Norm
from circuitbase.tracing.run import wide


def component_model(model: TracedModel) -> ComponentModel:
    """Returns a model by its components; weights in half precision are copied to float32, others are shared.

    Raises ModelError for a model that is spread over several devices.
    """
    places = sorted({str(parameter.device) for parameter in model.module.parameters()})
    if len(places) > 1:
        raise ModelError(
            f"a model must be on one device to be traced by its components, and this one is on {', '.join(places)}; "
            "load it without a device_map"
        )
    config = getattr(model.module.config, "text_config", model.module.config)
    text = _text_module(model.module)
    parts = model.parts
    return ComponentModel(
        embedded=lambda tokens: _embedded(model, text, tokens),
        attention=tuple(_attention_layer(block, _rotations(text, block), config) for block in parts.blocks),
        mlps=tuple(_mlp_layer(block) for block in parts.blocks),
        final_norm=_wide_norm(parts.final_norm),
        W_U=wide(parts.W_U.detach()),
        b_U=None if parts.b_U is None else wide(parts.b_U.detach()),
        logit_cap=getattr(config, "final_logit_softcapping", None),
        parallel=parts.blocks[0].parallel,
    )


def attention_layer(model: TracedModel, layer: int) -> AttentionLayer:
    """Returns one attention layer of a model, without copies of the others."""
    config = getattr(model.module.config, "text_config", model.module.config)
    block = model.parts.blocks[layer]
    return _attention_layer(block, _rotations(_text_module(model.module), block), config)


def _text_module(module: Any) -> Any:
    """Returns the module of the text model: the one with the blocks and, where there are any, the rotations."""
    for name in ("transformer", "gpt_neox"):
        if hasattr(module, name):
            return getattr(module, name)
    return getattr(module.model, "language_model", module.model)


class _SeenInput(Exception):
    """Ends a forward pass at block 0, with what it was given."""

    def __init__(self, x: Tensor) -> None:
        self.x = x


def _embedded(model: TracedModel, text: Any, tokens: Int[Tensor, "batch position"]) -> Embedding:
    """Returns the embedding of tokens, as block 0 is given it."""
    seen: list[Tensor] = []
    handles: list[Any] = []
    if model.parts.embedding is not None:
        handles.append(model.parts.embedding.register_forward_hook(lambda _module, _args, result: seen.append(result)))

    def stop(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        raise _SeenInput(args[0] if args else kwargs["hidden_states"])

    handles.append(model.parts.blocks[0].module.register_forward_pre_hook(stop, with_kwargs=True))
    try:
        with torch.no_grad():
            text(input_ids=tokens.to(model.device), use_cache=False)
    except _SeenInput as found:
        stream = wide(found.x)
    finally:
        for handle in handles:
            handle.remove()
    written = wide(seen[0]) if seen else stream
    return Embedding(tokens=written, constant=stream - written if seen else torch.zeros_like(stream))


def _attention_layer(block: Block, rotations: Rotations | None, config: Any) -> AttentionLayer:
    attention = block.attention
    module: Any = attention.module
    found: QueryKeyWeights = query_key_weights(module, n_heads=config.num_attention_heads)
    return AttentionLayer(
        norm=_wide_norm(block.attention_norm),
        post_norm=_wide_norm(block.attention_post_norm),
        W_Q=wide(found.W_Q),
        b_Q=_wide(found.b_Q),
        W_K=wide(found.W_K),
        b_K=_wide(found.b_K),
        W_V=wide(attention.W_V.detach()),
        b_V=_wide(attention.b_V),
        W_O=wide(attention.W_O.detach()),
        b_O=_wide(attention.b_O),
        scoring=Scoring(
            scale=float(module.scaling),
            query_norm=_head_norm(module, "q_norm", d_head=found.W_Q.shape[2]),
            key_norm=_head_norm(module, "k_norm", d_head=found.W_Q.shape[2]),
            rotations=rotations,
            soft_cap=getattr(module, "attn_logit_softcapping", None),
            window=_window(module, config),
        ),
    )


def _head_norm(attention: Any, name: str, *, d_head: int) -> HeadNorm | None:
    norm = getattr(attention, name, None)
    if norm is None:
        return None
    gemma = hasattr(norm, "eps")  # its modules add 1 to the weight, others call the epsilon variance_epsilon
    weight = wide(norm.weight.detach())
    weight = 1 + weight if gemma else weight
    joint = weight.numel() > d_head
    if joint:  # keys have one weight per group, and a copy for each query head of it
        weight = weight.unflatten(0, (-1, d_head))
        n_heads = attention.config.num_attention_heads
        weight = weight.repeat_interleave(n_heads // weight.shape[0], dim=0)
    return HeadNorm(weight=weight, epsilon=float(norm.eps if gemma else norm.variance_epsilon), joint=joint)


def _window(attention: Any, config: Any) -> int | None:
    """Returns how many positions a query sees, itself included; None where it sees all before it."""
    if hasattr(attention, "sliding_window"):
        found: int | None = attention.sliding_window
        return found
    everywhere = type(attention).__name__ in ("MistralAttention", "Phi3Attention")
    return getattr(config, "sliding_window", None) if everywhere else None


def _rotations(text: Any, block: Block) -> Rotations | None:
    rotary = getattr(text, "rotary_emb", None)
    if rotary is None:
        return None
    by_type = hasattr(rotary, "layer_types")  # Gemma-3: local layers turn at another rate
    further = (block.attention.module.layer_type,) if by_type else ()

    def found(n_positions: int) -> tuple[Float[Tensor, "position d_rotary"], Float[Tensor, "position d_rotary"]]:
        weight = block.attention.W_O
        like = torch.zeros(1, dtype=torch.promote_types(weight.dtype, torch.float32), device=weight.device)
        cosines, sines = rotary(like, torch.arange(n_positions, device=weight.device)[None], *further)
        return cosines[0], sines[0]

    return found


def _mlp_layer(block: Block) -> MlpLayer:
    found: NeuronWeights = neuron_weights(block.mlp)
    return MlpLayer(
        norm=_wide_norm(block.mlp_norm),
        post_norm=_wide_norm(block.mlp_post_norm),
        activation=found.activation,
        W_in=wide(found.W_in),
        b_in=_wide(found.b_in),
        W_gate=_wide(found.W_gate),
        b_gate=_wide(found.b_gate),
        W_out=wide(found.W_out),
        b_out=_wide(found.b_out),
    )


def _wide_norm(norm: Norm | None) -> Norm | None:
    if norm is None:
        return None
    return Norm(norm.module, wide(norm.weight.detach()), _wide(norm.bias), norm.epsilon, norm.centred)


def _wide(numbers: Float[Tensor, "..."] | None) -> Float[Tensor, "..."] | None:
    return None if numbers is None else wide(numbers.detach())
