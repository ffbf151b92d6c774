"""One small adapter per architecture: it says where the parts of a Hugging Face module are, and computes nothing."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuitbase.tracing.architectures import architecture
from circuitbase.tracing.parts import Attention, Block, Norm, Parts


def model_parts(module: nn.Module, *, architecture_name: str) -> Parts:
    """Returns the parts of a Hugging Face model; raises ModelError for an architecture without an adapter."""
    return ADAPTERS[architecture(architecture_name).name](module)


def gpt2_parts(module: Any) -> Parts:
    """Returns the parts of a GPT-2, whose Conv1D weights are [in, out]."""
    transformer = module.transformer
    return Parts(
        embedding=transformer.wte,
        blocks=tuple(
            Block(
                module=block,
                attention_norm=_layer_norm(block.ln_1),
                attention=_gpt2_attention(block.attn, n_heads=module.config.n_head),
                attention_post_norm=None,
                mlp_norm=_layer_norm(block.ln_2),
                mlp=block.mlp,
                mlp_post_norm=None,
            )
            for block in transformer.h
        ),
        final_norm=_layer_norm(transformer.ln_f),
        W_U=module.lm_head.weight,
        b_U=module.lm_head.bias,
    )


def gpt_neox_parts(module: Any) -> Parts:
    """Returns the parts of a GPT-NeoX, whose blocks are parallel unless its configuration says otherwise."""
    unembedding = getattr(module, "embed_out", None) or module.lm_head  # called lm_head from transformers 5 on
    return Parts(
        embedding=None,
        blocks=tuple(
            Block(
                module=block,
                attention_norm=_layer_norm(block.input_layernorm),
                attention=_gpt_neox_attention(block.attention, n_heads=module.config.num_attention_heads),
                attention_post_norm=None,
                mlp_norm=_layer_norm(block.post_attention_layernorm),
                mlp=block.mlp,
                mlp_post_norm=None,
                parallel=module.config.use_parallel_residual,
            )
            for block in module.gpt_neox.layers
        ),
        final_norm=_layer_norm(module.gpt_neox.final_layer_norm),
        W_U=unembedding.weight,
        b_U=unembedding.bias,
    )


def llama_parts(module: Any) -> Parts:
    """Returns the parts of a Llama, Mistral, Qwen2 or Qwen3."""
    return _decoder_parts(module, _rms_norm, lambda block: _pre_norm_block(block, _grouped_attention(block.self_attn)))


def phi3_parts(module: Any) -> Parts:
    """Returns the parts of a Phi-3, whose queries, keys and values have one weight."""
    return _decoder_parts(module, _rms_norm, lambda block: _pre_norm_block(block, _phi3_attention(block.self_attn)))


def olmo2_parts(module: Any) -> Parts:
    """Returns the parts of an OLMo-2, whose norms come after attention and MLP alone."""

    def block_parts(block: Any) -> Block:
        return Block(
            module=block,
            attention_norm=None,
            attention=_grouped_attention(block.self_attn),
            attention_post_norm=_rms_norm(block.post_attention_layernorm),
            mlp_norm=None,
            mlp=block.mlp,
            mlp_post_norm=_rms_norm(block.post_feedforward_layernorm),
        )

    return _decoder_parts(module, _rms_norm, block_parts)


def gemma_parts(module: Any) -> Parts:
    """Returns the parts of a Gemma-2 or Gemma-3 (of one with vision: of its language model)."""

    def block_parts(block: Any) -> Block:
        return Block(
            module=block,
            attention_norm=_gemma_norm(block.input_layernorm),
            attention=_grouped_attention(block.self_attn),
            attention_post_norm=_gemma_norm(block.post_attention_layernorm),
            mlp_norm=_gemma_norm(block.pre_feedforward_layernorm),
            mlp=block.mlp,
            mlp_post_norm=_gemma_norm(block.post_feedforward_layernorm),
        )

    return _decoder_parts(module, _gemma_norm, block_parts)


def _decoder_parts(module: Any, norm: Callable[[Any], Norm], block_parts: Callable[[Any], Block]) -> Parts:
    text = getattr(module.model, "language_model", module.model)
    return Parts(
        embedding=None,
        blocks=tuple(block_parts(block) for block in text.layers),
        final_norm=norm(text.norm),
        W_U=module.lm_head.weight,
        b_U=module.lm_head.bias,
    )


def _pre_norm_block(block: Any, attention: Attention) -> Block:
    return Block(
        module=block,
        attention_norm=_rms_norm(block.input_layernorm),
        attention=attention,
        attention_post_norm=None,
        mlp_norm=_rms_norm(block.post_attention_layernorm),
        mlp=block.mlp,
        mlp_post_norm=None,
    )


def _gpt2_attention(attention: Any, *, n_heads: int) -> Attention:
    weight, bias, output = attention.c_attn.weight, attention.c_attn.bias, attention.c_proj
    d_model = weight.shape[0]
    values = slice(2 * d_model, 3 * d_model)
    return Attention(
        module=attention,
        output=output,
        W_V=weight[:, values].unflatten(1, (n_heads, -1)).transpose(0, 1),
        b_V=bias[values].unflatten(0, (n_heads, -1)),
        W_O=output.weight.unflatten(0, (n_heads, -1)),
        b_O=output.bias,
    )


def _gpt_neox_attention(attention: Any, *, n_heads: int) -> Attention:
    # the rows of each head follow one another: its query, its key, its value
    weight, bias = attention.query_key_value.weight, attention.query_key_value.bias
    return _attention(
        attention,
        attention.dense,
        value_weight=weight.unflatten(0, (n_heads, 3, -1))[:, 2],
        value_bias=None if bias is None else bias.unflatten(0, (n_heads, 3, -1))[:, 2],
    )


def _grouped_attention(attention: Any) -> Attention:
    values, d_head = attention.v_proj, attention.head_dim
    return _attention(
        attention,
        attention.o_proj,
        value_weight=values.weight.unflatten(0, (-1, d_head)),
        value_bias=None if values.bias is None else values.bias.unflatten(0, (-1, d_head)),
    )


def _phi3_attention(attention: Any) -> Attention:
    n_groups, d_head = attention.num_key_value_heads, attention.head_dim
    values = attention.qkv_proj.weight[-n_groups * d_head :]
    return _attention(
        attention, attention.o_proj, value_weight=values.unflatten(0, (n_groups, d_head)), value_bias=None
    )


def _attention(
    attention: Any,
    output: Any,
    *,
    value_weight: Float[Tensor, "group d_head d_model"],
    value_bias: Float[Tensor, "group d_head"] | None,
) -> Attention:
    """Returns an attention layer whose weights are [out, in]; all are views of the module's."""
    return Attention(
        module=attention,
        output=output,
        W_V=value_weight.transpose(1, 2),
        b_V=value_bias,
        W_O=output.weight.T.unflatten(0, (-1, value_weight.shape[1])),
        b_O=output.bias,
    )


def _layer_norm(module: Any) -> Norm:
    return Norm(module=module, weight=module.weight, bias=module.bias, epsilon=module.eps, centred=True)


def _rms_norm(module: Any) -> Norm:
    return Norm(module=module, weight=module.weight, bias=None, epsilon=float(module.variance_epsilon), centred=False)


def _gemma_norm(module: Any) -> Norm:
    # the module adds 1 in single precision too: bfloat16 has no numbers between 1 and 1.0078
    weight = module.weight.to(torch.promote_types(module.weight.dtype, torch.float32))
    return Norm(module=module, weight=1 + weight, bias=None, epsilon=module.eps, centred=False)


ADAPTERS: dict[str, Callable[[Any], Parts]] = {
    "GPT2LMHeadModel": gpt2_parts,
    "GPTNeoXForCausalLM": gpt_neox_parts,
    "LlamaForCausalLM": llama_parts,
    "MistralForCausalLM": llama_parts,
    "Qwen2ForCausalLM": llama_parts,
    "Qwen3ForCausalLM": llama_parts,
    "Gemma2ForCausalLM": gemma_parts,
    "Gemma3ForCausalLM": gemma_parts,
    "Gemma3ForConditionalGeneration": gemma_parts,
    "Olmo2ForCausalLM": olmo2_parts,
    "Phi3ForCausalLM": phi3_parts,
}
