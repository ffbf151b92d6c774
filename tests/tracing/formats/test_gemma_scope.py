import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from circuitbase.tracing.formats.detection import read_stored_dictionary
from tests.tracing.foreign_dictionaries import gemma_scope_1, gemma_scope_2, gemma_scope_clt, save
from tests.tracing.reading import check_computes_what_its_format_says, refusal


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("what", "kind", "reads", "writes"),
    [
        ("transcoders", "transcoder_set", "ln2.hook_normalized", "hook_mlp_out"),
        ("mlp", "sae_set", "hook_mlp_out", "hook_mlp_out"),
        ("att", "sae_set", "attn.hook_z", "attn.hook_z"),
    ],
)
def test_the_first_release_computes_what_it_says_and_its_path_says_where(
    what: str, kind: str, reads: str, writes: str, compressed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = gemma_scope_1(tmp_path, what=what, compressed=compressed)
    described = check_computes_what_its_format_says(foreign, monkeypatch).described
    assert (described.kind, described.reads.name, described.writes.name) == (kind, reads, writes)
    assert (described.model_name, described.rule.activation) == ("google/gemma-2-2b", "jumprelu")


@pytest.mark.parametrize("described", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_the_second_release_computes_what_it_says_with_a_configuration_or_without(
    described: bool, affine: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = gemma_scope_2(tmp_path, described=described, affine=affine)
    found = check_computes_what_its_format_says(foreign, monkeypatch).described
    assert found.kind == "transcoder_set"
    assert found.reads.name == "pre_feedforward_layernorm.output"
    assert found.writes.name == "post_feedforward_layernorm.output"
    assert found.model_name == ("google/gemma-v3-1b-pt" if described else "google/gemma-3-1b-pt")


@pytest.mark.parametrize("affine", [False, True])
def test_a_cross_layer_transcoder_computes_what_it_says(
    affine: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = check_computes_what_its_format_says(gemma_scope_clt(tmp_path, affine=affine), monkeypatch)
    assert stored.described.kind == "cross_layer_transcoder"
    assert [[decoder.slot for decoder in layer.W_dec] for layer in stored.layers] == [[0, 1], [1]]


def test_a_path_that_does_not_say_the_hook_is_refused(tmp_path: Path) -> None:
    folder = gemma_scope_1(tmp_path).folder.rename(tmp_path / "mine")
    assert "should lie in a path that says its hook and its layer" in refusal(folder)
    second = gemma_scope_2(tmp_path, described=False).folder.rename(tmp_path / "others")
    assert "its path should say its hook and its layer" in refusal(second)


def test_several_dictionaries_of_a_layer_are_listed(tmp_path: Path) -> None:
    folder = gemma_scope_1(tmp_path).folder
    width = folder / "layer_1" / "width_16k"
    shutil.copytree(width / "average_l0_51", width / "average_l0_7")
    found = refusal(folder)
    assert "layer 1 has 2: layer_1/width_16k/average_l0_51, layer_1/width_16k/average_l0_7" in found
    assert "give a narrower folder" in found


def test_a_layer_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = gemma_scope_2(tmp_path).folder
    shutil.rmtree(folder / "layer_0_width_16k_l0_small_affine")
    assert "none is there for layer 0" in refusal(folder)
    clt = gemma_scope_clt(tmp_path / "clt").folder
    (clt / "params_layer_0.safetensors").unlink()
    assert "but lacks params_layer_0.safetensors" in refusal(clt)


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"type": "crosscoder"}, "type must be sae, transcoder or clt to be traced, got crosscoder"),
        ({"architecture": "topk"}, "architecture must be jump_relu, got topk"),
        ({"hf_hook_point_in": "model.norm.output"}, "hf_hook_point_in should name a layer"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(entries: dict[str, str], sentence: str, tmp_path: Path) -> None:
    folder = gemma_scope_2(tmp_path).folder
    path = folder / "layer_0_width_16k_l0_small_affine" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))
    assert sentence in refusal(folder)


def test_a_cross_layer_transcoders_configuration_may_name_its_hooks(tmp_path: Path) -> None:
    folder = gemma_scope_clt(tmp_path).folder
    path = folder / "config.json"
    hook = "model.layers.{layer}.pre_feedforward_layernorm.input"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hf_hook_point_in": hook}))
    assert read_stored_dictionary(folder).described.reads.name == "pre_feedforward_layernorm.input"
    path.write_text(json.dumps({"type": "crosscoder"}))
    assert "type must be clt where there is a file for each layer, got crosscoder" in refusal(folder)


def test_a_transposed_encoder_is_said_to_be_one(tmp_path: Path) -> None:
    folder = gemma_scope_2(tmp_path).folder
    path = folder / "layer_1_width_16k_l0_small_affine" / "params.safetensors"
    arrays = load_file(path)
    save(path, **{**arrays, "w_enc": arrays["w_enc"].T})
    assert "w_enc must have the shape [16, 24]" in refusal(folder)
    assert "it seems to be transposed" in refusal(folder)


def test_an_npz_file_that_holds_objects_or_is_none_is_refused(tmp_path: Path) -> None:
    folder = gemma_scope_1(tmp_path).folder
    path = folder / "layer_0" / "width_16k" / "average_l0_50" / "params.npz"
    np.savez(path, W_enc=np.array([{}], dtype=object))
    assert "should be an npz file, but cannot be read (it holds Python objects)" in refusal(folder)
    path.write_bytes(b"nothing")
    assert "should be an npz file, but cannot be read" in refusal(folder)


def test_a_folder_above_a_set_names_it(tmp_path: Path) -> None:
    gemma_scope_clt(tmp_path / "clt" / "width_262k")
    assert "holds no dictionary itself, but clt/width_262k below it" in refusal(tmp_path)
