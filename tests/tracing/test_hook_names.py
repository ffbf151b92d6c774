"""Which tensor each hook name denotes, per architecture, and what is refused."""

from dataclasses import replace
from typing import Literal

import pytest

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.stored import Described, Kind, Point, Rule
from circuitbase.tracing.hook_names import dictionary_hooks, layer_and_point, site_of
from circuitbase.tracing.hooks import Hook

GPT2, NEOX, LLAMA = "GPT2LMHeadModel", "GPTNeoXForCausalLM", "LlamaForCausalLM"
GEMMA2, GEMMA3, OLMO2 = "Gemma2ForCausalLM", "Gemma3ForCausalLM", "Olmo2ForCausalLM"
NORMS: dict[str, Literal["layer", "rms"]] = {GPT2: "layer", NEOX: "layer"}


def described(
    reads: str,
    writes: str,
    *,
    kind: Kind = "transcoder_set",
    lens_version: int | None = None,
    processing: frozenset[str] = frozenset(),
) -> Described:
    return Described(
        kind=kind,
        reads=Point(reads, "the file: reads"),
        writes=Point(writes, "the file: writes"),
        rule=Rule("relu", relu=True),
        n_features=24,
        d_read=16,
        d_write=16,
        lens_version=lens_version,
        processing=processing,
    )


def hooks(found: Described, architecture: str) -> tuple[Hook, Hook]:
    return dictionary_hooks(found, architecture=architecture, norm=NORMS.get(architecture, "rms"))


def refusal(found: Described, architecture: str) -> str:
    with pytest.raises(ModelError) as error:
        hooks(found, architecture)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "layer", "point"),
    [
        ("blocks.3.hook_mlp_out", 3, "hook_mlp_out"),
        ("blocks.{layer}.mlp.hook_in", None, "mlp.hook_in"),
        ("mlp.hook_in", None, "mlp.hook_in"),
        ("blocks.11.ln2.hook_normalized", 11, "ln2.hook_normalized"),
        ("model.layers.5.mlp.output", 5, "mlp.output"),
        ("model.language_model.layers.5.self_attn.o_proj.input", 5, "self_attn.o_proj.input"),
        ("layers.5.mlp", 5, "mlp"),
        ("h.0.mlp", 0, "mlp"),
        ("transformer.h.10.attn", 10, "attn"),
        ("layers.5", 5, ""),
        ("hook_embed", None, "hook_embed"),
    ],
)
def test_a_hooks_name_is_split_into_its_layer_and_the_rest(name: str, layer: int | None, point: str) -> None:
    assert layer_and_point(name) == (layer, point)


@pytest.mark.parametrize(
    ("architecture", "read", "hook"),
    [
        (GPT2, "hook_resid_mid", Hook.RESIDUAL_MID),
        (GPT2, "hook_mlp_in", Hook.RESIDUAL_MID),
        (GPT2, "mlp.hook_in", Hook.MLP_INPUT),
        (GPT2, "mlp.input", Hook.MLP_INPUT),
        (GPT2, "ln_2.output", Hook.MLP_INPUT),
        (GPT2, "ln_2.input", Hook.RESIDUAL_MID),
        (NEOX, "mlp.hook_in", Hook.MLP_INPUT),
        (NEOX, "post_attention_layernorm.output", Hook.MLP_INPUT),
        (LLAMA, "post_attention_layernorm.output", Hook.MLP_INPUT),
        (LLAMA, "post_attention_layernorm.input", Hook.RESIDUAL_MID),
        (LLAMA, "ln2.hook_normalized", Hook.MLP_NORMALIZED),
        (GEMMA2, "ln2.hook_normalized", Hook.MLP_NORMALIZED),
        (GEMMA3, "pre_feedforward_layernorm.output", Hook.MLP_INPUT),
        (GEMMA3, "pre_feedforward_layernorm.input", Hook.RESIDUAL_MID),
        (OLMO2, "mlp.hook_in", Hook.MLP_INPUT),
    ],
)
def test_what_a_transcoder_reads(architecture: str, read: str, hook: Hook) -> None:
    assert hooks(described(read, "mlp.hook_out"), architecture) == (hook, Hook.MLP_OUTPUT)


@pytest.mark.parametrize(
    ("architecture", "written", "hook"),
    [
        (GPT2, "mlp.hook_out", Hook.MLP_OUTPUT),
        (GPT2, "hook_mlp_out", Hook.MLP_WRITE),
        (LLAMA, "mlp.output", Hook.MLP_OUTPUT),
        (GEMMA2, "mlp.output", Hook.MLP_OUTPUT),
        (GEMMA2, "hook_mlp_out", Hook.MLP_WRITE),
        (GEMMA3, "post_feedforward_layernorm.output", Hook.MLP_WRITE),
        (GEMMA3, "post_feedforward_layernorm.input", Hook.MLP_OUTPUT),
        (OLMO2, "post_feedforward_layernorm.output", Hook.MLP_WRITE),
    ],
)
def test_what_a_transcoder_writes(architecture: str, written: str, hook: Hook) -> None:
    assert hooks(described("mlp.hook_in", written), architecture)[1] == hook


@pytest.mark.parametrize(
    ("architecture", "name", "hook", "site"),
    [
        (GPT2, "hook_mlp_out", Hook.MLP_WRITE, "mlp_out"),
        (GPT2, "mlp.output", Hook.MLP_OUTPUT, "mlp_out"),
        (GPT2, "attn.hook_z", Hook.HEAD_VALUES, "attn_z"),
        (GPT2, "attn.c_proj.input", Hook.HEAD_VALUES, "attn_z"),
        (GPT2, "attn.output", Hook.ATTENTION_OUTPUT, "attn_out"),
        (NEOX, "attention.dense.input", Hook.HEAD_VALUES, "attn_z"),
        (NEOX, "attention.output", Hook.ATTENTION_OUTPUT, "attn_out"),
        (LLAMA, "hook_attn_out", Hook.ATTENTION_WRITE, "attn_out"),
        (LLAMA, "self_attn.output", Hook.ATTENTION_OUTPUT, "attn_out"),
        (GEMMA2, "self_attn.o_proj.input", Hook.HEAD_VALUES, "attn_z"),
        (GEMMA2, "post_attention_layernorm.output", Hook.ATTENTION_WRITE, "attn_out"),
        (OLMO2, "post_attention_layernorm.output", Hook.ATTENTION_WRITE, "attn_out"),
    ],
)
def test_what_an_sae_reads_and_writes(architecture: str, name: str, hook: Hook, site: str) -> None:
    found = described(name, name, kind="sae_set")
    assert hooks(found, architecture) == (hook, hook)
    assert site_of(found, hook) == site


def test_a_transcoders_site_is_the_mlp() -> None:
    assert site_of(described("mlp.hook_in", "hook_mlp_out"), Hook.MLP_WRITE) == "mlp"


@pytest.mark.parametrize("name", ["hook_resid_post", "hook_resid_pre", "output", "input", "hook_embed"])
def test_saes_on_the_residual_stream_are_refused_with_the_reason(name: str) -> None:
    found = refusal(described(name, name, kind="sae_set"), GPT2)
    assert "every path stops at them and the MLP between two of them would have to be linearised" in found
    assert "so there is no exact account" in found


@pytest.mark.parametrize(
    ("read", "written", "sentence"),
    [
        (
            "hook_resid_post",
            "mlp.hook_out",
            "reads must be one of hook_resid_mid, ln2.hook_normalized, mlp.hook_in, got",
        ),
        ("mlp.hook_in", "hook_resid_post", "writes must be one of mlp.hook_out, hook_mlp_out, got the residual stream"),
        ("mlp.hook_out", "mlp.hook_out", "reads must be one of hook_resid_mid"),
        ("mlp.hook_in", "attn.hook_z", "writes must be one of mlp.hook_out"),
        ("mlp.hook_post", "mlp.hook_out", "got mlp.hook_post"),
        ("post_attention_layernorm.output", "mlp.hook_out", "a module of GPT2LMHeadModel whose input or output"),
    ],
)
def test_a_hook_that_a_transcoder_cannot_have_is_refused(read: str, written: str, sentence: str) -> None:
    assert sentence in refusal(described(read, written), GPT2)


def test_an_sae_that_writes_elsewhere_is_refused() -> None:
    found = described("hook_mlp_out", "hook_attn_out", kind="sae_set")
    assert "an SAE must write what it reads, got hook_mlp_out and hook_attn_out" in refusal(found, GPT2)


@pytest.mark.parametrize(("version", "hook"), [(2, Hook.MLP_INPUT), (3, Hook.MLP_NORMALIZED)])
def test_a_layer_norms_normalized_hook_needs_transformer_lens_version(version: int, hook: Hook) -> None:
    found = described("ln2.hook_normalized", "hook_mlp_out", lens_version=version)
    assert hooks(found, GPT2)[0] == hook
    assert "TransformerLens 2 and the value before its weight and bias in 3" in refusal(
        replace(found, lens_version=None), GPT2
    )


@pytest.mark.parametrize("name", ["hook_resid_mid", "hook_mlp_in"])
def test_parallel_blocks_have_no_residual_stream_in_the_middle(name: str) -> None:
    assert "no residual stream between attention and MLP" in refusal(described(name, "mlp.hook_out"), NEOX)


def test_a_model_without_a_norm_before_its_mlp_has_no_normalized_hook() -> None:
    assert "no norm before its MLP" in refusal(described("ln2.hook_normalized", "mlp.hook_out"), OLMO2)


def test_the_name_that_sae_lens_uses_for_another_tensor_is_refused() -> None:
    assert "write hook_resid_mid for the former" in refusal(described("hook_mlp_in", "hook_mlp_out"), GEMMA3)


@pytest.mark.parametrize("read", ["ln2.hook_normalized", "mlp.hook_in"])
def test_with_folded_norms_both_names_denote_the_value_before_the_weight(read: str) -> None:
    found = described(read, "hook_mlp_out", processing=frozenset({"fold_ln"}))
    assert hooks(found, GPT2)[0] == hooks(found, LLAMA)[0] == Hook.MLP_NORMALIZED


@pytest.mark.parametrize(
    ("name", "processing", "harms"),
    [
        ("hook_mlp_out", "center_writing_weights", True),
        ("attn.hook_z", "center_writing_weights", False),
        ("attn.hook_z", "fold_value_biases", True),
        ("hook_attn_out", "fold_value_biases", False),
        ("attn.hook_z", "refactor_factored_attn_matrices", True),
        ("hook_mlp_out", "center_unembed", False),
        ("hook_mlp_out", "fold_ln", False),
    ],
)
def test_changed_weights_are_refused_where_they_change_what_is_read(name: str, processing: str, harms: bool) -> None:
    found = described(name, name, kind="sae_set", processing=frozenset({processing}))
    if harms:
        assert f"had changed by {processing}" in refusal(found, GPT2)
    else:
        hooks(found, GPT2)


def test_centring_changes_nothing_without_layer_norms() -> None:
    found = described("mlp.hook_in", "hook_mlp_out", processing=frozenset({"center_writing_weights"}))
    assert hooks(found, LLAMA) == (Hook.MLP_INPUT, Hook.MLP_WRITE)
    assert "had changed by center_writing_weights" in refusal(found, GPT2)
