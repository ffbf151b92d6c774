import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from circuitbase.tracing.formats.detection import read_stored_dictionary
from tests.tracing.foreign_dictionaries import sae_lens, save
from tests.tracing.reading import check_computes_what_its_format_says, refusal

TRANSCODER = {"hook": "blocks.{layer}.ln2.hook_normalized", "hook_out": "blocks.{layer}.hook_mlp_out"}


@pytest.mark.parametrize("subtracts", [False, True])
@pytest.mark.parametrize(
    ("architecture", "activation"),
    [
        ("standard", "relu"),
        ("topk", "topk"),
        ("jumprelu", "jumprelu"),
        ("gated", "jumprelu"),
        ("batchtopk", "jumprelu"),
    ],
)
def test_an_sae_computes_what_sae_lens_does(
    architecture: str, activation: str, subtracts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = sae_lens(tmp_path, architecture=architecture, subtracts=subtracts)
    described = check_computes_what_its_format_says(foreign, monkeypatch).described
    assert (described.kind, described.rule.activation) == ("sae_set", activation)
    assert (described.reads.name, described.writes.name) == ("hook_mlp_out", "hook_mlp_out")
    assert described.model_name == "tiny"


@pytest.mark.parametrize("subtracts", [False, True])
@pytest.mark.parametrize(
    "architecture", ["transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder"]
)
def test_a_transcoder_computes_what_sae_lens_does(
    architecture: str, subtracts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = sae_lens(tmp_path, architecture=architecture, subtracts=subtracts, **TRANSCODER)
    described = check_computes_what_its_format_says(foreign, monkeypatch).described
    assert described.kind == "transcoder_set"
    assert (described.reads.name, described.writes.name) == ("ln2.hook_normalized", "hook_mlp_out")


def test_topk_that_ranks_by_the_decoders_norm_is_kept_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_computes_what_its_format_says(sae_lens(tmp_path, architecture="topk", by_norm=True), monkeypatch)


def test_a_training_checkpoints_logarithm_of_thresholds_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_computes_what_its_format_says(sae_lens(tmp_path, architecture="jumprelu", log_threshold=True), monkeypatch)


@pytest.mark.parametrize("function", ["relu", "topk", "abstopk"])
def test_versions_before_six_have_flat_keys_and_subtract_b_dec(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_computes_what_its_format_says(sae_lens(tmp_path, old=True, function=function), monkeypatch)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("architecture", ["standard", "gated"])
def test_a_constant_of_the_training_data_is_folded(
    architecture: str, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = sae_lens(tmp_path, architecture=architecture, scale=1.7, old=old)
    stored = check_computes_what_its_format_says(foreign, monkeypatch)
    assert {path.name for path in stored.files} == {"cfg.json", "sae_weights.safetensors", "activation_scaler.json"}


def test_a_scaling_factor_that_is_not_used_is_tolerated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = sae_lens(tmp_path, old=True)
    for path in tmp_path.glob("layer_*/sae_weights.safetensors"):
        save(path, **load_file(path), scaling_factor=np.ones(24))
    check_computes_what_its_format_says(foreign, monkeypatch)


def change(folder: Path, *, metadata: dict[str, Any] | None = None, **entries: Any) -> None:
    for path in folder.glob("layer_*/cfg.json"):
        found = json.loads(path.read_text())
        path.write_text(json.dumps({**found, **entries, "metadata": {**found["metadata"], **(metadata or {})}}))


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"architecture": "temporal"}, "architecture must be one of standard, topk"),
        ({"normalize_activations": "layer_norm"}, "divides each token by a size of its own"),
        ({"normalize_activations": "constant_norm_rescale"}, "divides each token by a size of its own"),
        ({"normalize_activations": "expected_average_only_in"}, "is not in the folder; add activation_scaler.json"),
        ({"normalize_activations": "median"}, "normalize_activations must be none, got median"),
        ({"metadata": {"hook_head_index": 3}}, "a single attention head"),
        ({"hook_point_head_index": 3}, "a single attention head"),
        ({"finetuning_scaling_factor": True}, "what the dictionary computes is not certain"),
        ({"metadata": {"hook_name": "hook_mlp_out"}}, "should name one layer"),
        ({"architecture": "topk"}, "k must be a positive integer, got None"),
        ({"architecture": "topk", "k": 99}, "k must be at most the 24 features, got 99"),
        ({"architecture": "jumprelu"}, "but lacks threshold"),
        (
            {"architecture": "transcoder", "metadata": {"hook_name_out": "blocks.9.hook_mlp_out"}},
            "should name one layer",
        ),
        ({"activation_fn_str": "tanh-relu"}, "activation_fn_str must be relu, topk or abstopk, got tanh-relu"),
        ({"architecture": "batchtopk", "rescale_acts_by_decoder_norm": True}, "saves it for inference"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(entries: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    sae_lens(tmp_path)
    change(tmp_path, **entries)
    assert sentence in refusal(tmp_path)


def test_a_transposed_decoder_is_said_to_be_one(tmp_path: Path) -> None:
    sae_lens(tmp_path)
    path = tmp_path / "layer_1" / "sae_weights.safetensors"
    arrays = load_file(path)
    save(path, **{**arrays, "W_dec": arrays["W_dec"].T})
    assert "W_dec must have the shape [24, 16], by the lengths of b_enc and b_dec, got [16, 24] (it" in refusal(
        tmp_path
    )
    save(path, **arrays, W_gate=np.zeros(3))
    assert "holds W_gate, which the architecture standard has no use for" in refusal(tmp_path)


def test_layers_that_differ_are_refused(tmp_path: Path) -> None:
    sae_lens(tmp_path)
    path = tmp_path / "layer_1" / "cfg.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "metadata": {**found["metadata"], "hook_name": "blocks.1.hook_attn_out"}}))
    assert "every layer must have the same input hook" in refusal(tmp_path)


def test_a_copy_of_gemma_scope_2_names_the_module_that_is_meant(tmp_path: Path) -> None:
    sae_lens(
        tmp_path,
        architecture="jumprelu_transcoder",
        hook="blocks.{layer}.hook_mlp_in",
        hook_out="blocks.{layer}.hook_mlp_out",
        hf_hook_name="model.layers.0.pre_feedforward_layernorm.output",
    )
    assert read_stored_dictionary(tmp_path).described.reads.name == "pre_feedforward_layernorm.output"


def test_the_path_of_a_module_means_its_output(tmp_path: Path) -> None:
    sae_lens(tmp_path, hook="transformer.h.{layer}.mlp")
    assert read_stored_dictionary(tmp_path).described.reads.name == "mlp.output"


def test_changes_to_the_models_weights_are_kept(tmp_path: Path) -> None:
    sae_lens(tmp_path, model_from_pretrained_kwargs={"fold_ln": True, "center_writing_weights": False})
    assert read_stored_dictionary(tmp_path).described.processing == {"fold_ln"}
