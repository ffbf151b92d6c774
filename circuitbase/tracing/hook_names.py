"""Which tensor a dictionary's hook names denote, per architecture (formats.md, hook names).

A name is one of TransformerLens (`blocks.3.hook_mlp_out`) or the path of a Hugging Face module with `.input` or
`.output` behind it (`model.layers.3.mlp.output`). The traps are here: two tensors of one name, and weights that
TransformerLens changed before the activations were taken.
"""

import re
from typing import Literal

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.stored import Described, Point
from circuitbase.tracing.hooks import READS_BEFORE_MLP, WRITES_OF_ATTENTION, WRITES_OF_MLP, Hook

NormKind = Literal["layer", "rms"]

BLOCK = re.compile(r"^(?:[\w.]*\.)?(?:blocks|layers|h)\.(?P<layer>\d+|\{\w*\}|[a-z]+)(?:\.(?P<rest>.+))?$")
OF_TRANSFORMER_LENS = {
    hook.value: hook
    for hook in (
        Hook.RESIDUAL_MID,
        Hook.MLP_NORMALIZED,
        Hook.MLP_INPUT,
        Hook.MLP_OUTPUT,
        Hook.MLP_WRITE,
        Hook.HEAD_VALUES,
        Hook.ATTENTION_OUTPUT,
        Hook.ATTENTION_WRITE,
    )
} | {"hook_mlp_in": Hook.RESIDUAL_MID}  # of stock TransformerLens: the residual stream before ln2
OF_ANY_MODULE = {"mlp.input": Hook.MLP_INPUT, "mlp.output": Hook.MLP_OUTPUT} | {
    f"{name}.output": Hook.ATTENTION_OUTPUT for name in ("attn", "attention", "self_attn")
}
HEAD_OUTPUTS = ("attn.c_proj", "attention.dense", "self_attn.o_proj", "attn.out_proj")
OF_HEAD_OUTPUT = {f"{name}.input": Hook.HEAD_VALUES for name in HEAD_OUTPUTS} | {
    f"{name}.output": Hook.ATTENTION_OUTPUT for name in HEAD_OUTPUTS
}
AFTER_ATTENTION = "post_attention_layernorm"
BEFORE_MLP = {f"{AFTER_ATTENTION}.input": Hook.RESIDUAL_MID, f"{AFTER_ATTENTION}.output": Hook.MLP_INPUT}
BEHIND_ATTENTION = {
    f"{AFTER_ATTENTION}.input": Hook.ATTENTION_OUTPUT,
    f"{AFTER_ATTENTION}.output": Hook.ATTENTION_WRITE,
}
BEHIND_MLP = {
    "post_feedforward_layernorm.input": Hook.MLP_OUTPUT,
    "post_feedforward_layernorm.output": Hook.MLP_WRITE,
}
GEMMA = {
    **BEHIND_ATTENTION,
    **BEHIND_MLP,
    "pre_feedforward_layernorm.input": Hook.RESIDUAL_MID,
    "pre_feedforward_layernorm.output": Hook.MLP_INPUT,
}
# the norms' modules, whose names mean another norm in another architecture
OF_NORMS: dict[str, dict[str, Hook]] = {
    "GPT2LMHeadModel": {"ln_2.input": Hook.RESIDUAL_MID, "ln_2.output": Hook.MLP_INPUT},
    "GPTNeoXForCausalLM": {f"{AFTER_ATTENTION}.output": Hook.MLP_INPUT},
    "LlamaForCausalLM": BEFORE_MLP,
    "MistralForCausalLM": BEFORE_MLP,
    "Qwen2ForCausalLM": BEFORE_MLP,
    "Qwen3ForCausalLM": BEFORE_MLP,
    "Phi3ForCausalLM": BEFORE_MLP,
    "Gemma2ForCausalLM": GEMMA,
    "Gemma3ForCausalLM": GEMMA,
    "Gemma3ForConditionalGeneration": GEMMA,
    "Olmo2ForCausalLM": {**BEHIND_ATTENTION, **BEHIND_MLP},
}
PARALLEL = ("GPTNeoXForCausalLM", "GPTJForCausalLM")  # the MLP reads the block's input: there is no middle
WITHOUT_NORM_BEFORE_MLP = ("Olmo2ForCausalLM",)
SAE_LENS_CALLS_MLP_INPUT_SO = ("Gemma3ForCausalLM", "Gemma3ForConditionalGeneration")
RESIDUAL_STREAM = ("hook_resid_pre", "hook_resid_post", "hook_embed", "hook_pos_embed", "input", "output")
SAE_HOOKS = WRITES_OF_MLP + WRITES_OF_ATTENTION
SITES = {
    Hook.MLP_OUTPUT: "mlp_out",
    Hook.MLP_WRITE: "mlp_out",
    Hook.HEAD_VALUES: "attn_z",
    Hook.ATTENTION_OUTPUT: "attn_out",
    Hook.ATTENTION_WRITE: "attn_out",
}


def layer_and_point(name: str) -> tuple[int | None, str]:
    """Returns the layer that a hook's name says, if any, and the name without it.

    `blocks.3.hook_mlp_out` gives (3, `hook_mlp_out`), `model.layers.3.mlp.output` (3, `mlp.output`).
    """
    match = BLOCK.match(name)
    if match is None:
        return None, name
    layer = int(match["layer"]) if match["layer"].isdigit() else None
    return layer, match["rest"] or ""


def dictionary_hooks(described: Described, *, architecture: str, norm: NormKind) -> tuple[Hook, Hook]:
    """Returns where a dictionary reads and writes in a model of an architecture.

    Raises ModelError, in a sentence, for names that denote nothing there, or two things, or what
    cannot be traced exactly.
    """
    of_sae = described.kind == "sae_set"
    reads, writes = (
        _hook(point, described, SAE_HOOKS if of_sae else allowed, architecture=architecture, norm=norm)
        for point, allowed in ((described.reads, READS_BEFORE_MLP), (described.writes, WRITES_OF_MLP))
    )
    if of_sae and reads != writes:
        raise ModelError(
            f"{described.reads.said_in}: an SAE must write what it reads, got {described.reads.name} and "
            f"{described.writes.name}; give another dictionary"
        )
    _check_processing(described, reads, writes, norm=norm)
    return reads, writes


def reads_head_values(described: Described) -> bool:
    """Returns whether a dictionary reads the heads' values, which need not be as wide as the residual stream."""
    return {**OF_TRANSFORMER_LENS, **OF_HEAD_OUTPUT}.get(described.reads.name) == Hook.HEAD_VALUES


def site_of(described: Described, writes: Hook) -> str:
    """Returns the part of a feature's id that says what its dictionary replaces."""
    return SITES[writes] if described.kind == "sae_set" else "mlp"


def _hook(point: Point, described: Described, allowed: tuple[Hook, ...], *, architecture: str, norm: NormKind) -> Hook:
    if point.name in RESIDUAL_STREAM:
        raise ModelError(_refused_residual(point, described, allowed))
    known = {**OF_TRANSFORMER_LENS, **OF_ANY_MODULE, **OF_HEAD_OUTPUT, **OF_NORMS.get(architecture, {})}
    hook = known.get(point.name)
    if hook not in allowed:
        raise ModelError(
            f"{point.said_in} must be one of {_listed(allowed)}, or a module of {architecture} whose input or output "
            f"is one of these, got {point.name}"
        )
    if hook == Hook.RESIDUAL_MID and architecture in PARALLEL:
        raise ModelError(
            f"{point.said_in} is {point.name}, but the MLP of {architecture} reads the block's input, so there is "
            "no residual stream between attention and MLP; give a dictionary of mlp.hook_in"
        )
    if point.name == "hook_mlp_in" and architecture in SAE_LENS_CALLS_MLP_INPUT_SO:
        raise ModelError(
            f"{point.said_in} hook_mlp_in is the residual stream before the norm in TransformerLens and the norm's "
            "output in SAELens' copies of Gemma Scope 2; write hook_resid_mid for the former, mlp.hook_in else"
        )
    if hook in (Hook.MLP_NORMALIZED, Hook.MLP_INPUT):
        return _normalized(point, described, architecture=architecture, norm=norm)
    return hook


def _normalized(point: Point, described: Described, *, architecture: str, norm: NormKind) -> Hook:
    """Returns which of its two values a norm's hook denotes.

    `ln2.hook_normalized` of a LayerNorm is the norm's output in TransformerLens before 3, and the
    value before weight and bias from 3 on; for an RMSNorm it is the latter in every version. With
    `fold_ln` weight and bias moved into the MLP, and both names denote the value before them.
    """
    if "fold_ln" in described.processing:
        return Hook.MLP_NORMALIZED
    if point.name != Hook.MLP_NORMALIZED.value:
        return Hook.MLP_INPUT
    if architecture in WITHOUT_NORM_BEFORE_MLP:
        raise ModelError(
            f"{point.said_in} is ln2.hook_normalized, but a {architecture} has no norm before its MLP; give a "
            "dictionary of mlp.hook_in"
        )
    if norm == "rms":
        return Hook.MLP_NORMALIZED
    if described.lens_version is None:
        raise ModelError(
            f"{point.said_in} ln2.hook_normalized is the norm's output in TransformerLens 2 and the value before its "
            "weight and bias in 3; write mlp.hook_in if it was trained on the former, or add the entry "
            "transformer_lens_version: 3"
        )
    return Hook.MLP_NORMALIZED if described.lens_version >= 3 else Hook.MLP_INPUT


def _refused_residual(point: Point, described: Described, allowed: tuple[Hook, ...]) -> str:
    shown = f" ({point.name})" if point.name not in ("input", "output") else ""
    if described.kind != "sae_set":
        return f"{point.said_in} must be one of {_listed(allowed)}, got the residual stream between blocks{shown}"
    return (
        f"{point.said_in}: SAEs on the residual stream{shown} cannot be traced: every path stops at them and the MLP "
        "between two of them would have to be linearised, so there is no exact account; give transcoders, or SAEs on "
        "MLP or attention outputs"
    )


def _check_processing(described: Described, reads: Hook, writes: Hook, *, norm: NormKind) -> None:
    """Raises ModelError where the dictionary was trained on tensors that the model as saved does not have."""
    both = {reads, writes}
    harmful = {
        "center_writing_weights": norm == "layer" and both != {Hook.HEAD_VALUES},
        "fold_value_biases": Hook.HEAD_VALUES in both,
        "refactor_factored_attn_matrices": Hook.HEAD_VALUES in both,
    }
    if found := sorted(name for name in described.processing if harmful.get(name, False)):
        raise ModelError(
            f"{described.reads.said_in}: it was trained on a model that TransformerLens had changed by "
            f"{' and '.join(found)}, so {described.writes.name} differs from what the saved model computes; give a "
            "dictionary that was trained without"
        )


def _listed(hooks: tuple[Hook, ...]) -> str:
    return ", ".join(hook.value for hook in hooks)
