"""Tiny configurations of every supported architecture, each with what is peculiar to it small enough to matter."""

from typing import Any

WORDS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi "
    "psi omega is the of"
).split()

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 100.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8,
}
GEMMA = {"head_dim": 6, "query_pre_attn_scalar": 5, "sliding_window": 3}
GEMMA3 = {**GEMMA, "layer_types": None, "sliding_window_pattern": 2}

# of a prompt of 6 tokens a window of 3 hides something, and soft caps of 1 and 2 bend most scores and logits
PECULIAR: dict[str, dict[str, Any]] = {
    "GPT2LMHeadModel": {},
    "GPTNeoXForCausalLM": {"rotary_pct": 0.5},
    "LlamaForCausalLM": {"rope_scaling": LLAMA3_ROPE, "attention_bias": True},
    "MistralForCausalLM": {"sliding_window": 3, "head_dim": 6},
    "Qwen2ForCausalLM": {},
    "Qwen3ForCausalLM": {"head_dim": 6},
    "Gemma2ForCausalLM": {**GEMMA, "attn_logit_softcapping": 1.0, "final_logit_softcapping": 2.0},
    "Gemma3ForCausalLM": GEMMA3,
    "Gemma3ForConditionalGeneration": GEMMA3,
    "Olmo2ForCausalLM": {},
    "Phi3ForCausalLM": {"sliding_window": 4},
}
UNGROUPED = ("GPT2LMHeadModel", "GPTNeoXForCausalLM")


def tiny_config(architecture: str, sizes: dict[str, int | None], settings: dict[str, Any]) -> Any:
    """Returns a transformers configuration; `sizes` are n_layers, d_model, n_heads (None: 4, GPT-2: 2), n_positions."""
    import transformers

    described = {
        "vocab_size": len(WORDS) + 2,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": None,
        **PECULIAR[architecture],
        **settings,
    }
    if architecture == "GPT2LMHeadModel":
        return transformers.GPT2Config(
            n_embd=sizes["d_model"],
            n_layer=sizes["n_layers"],
            n_head=sizes["n_heads"] or 2,
            n_positions=sizes["n_positions"],
            **described,
        )
    n_heads = sizes["n_heads"] or 4
    described |= {
        "hidden_size": sizes["d_model"],
        "intermediate_size": 24,
        "num_hidden_layers": sizes["n_layers"],
        "num_attention_heads": n_heads,
        "max_position_embeddings": sizes["n_positions"],
    }
    if architecture not in UNGROUPED:
        described["num_key_value_heads"] = max(1, n_heads // 2)
    if architecture == "Gemma3ForConditionalGeneration":
        return _with_vision(described)
    name = {"Gemma3ForCausalLM": "Gemma3TextConfig"}.get(architecture, architecture.replace("ForCausalLM", "Config"))
    return getattr(transformers, name)(**described)


def _with_vision(text: dict[str, Any]) -> Any:
    import transformers

    vision = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "image_size": 8,
        "patch_size": 4,
    }
    return transformers.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
