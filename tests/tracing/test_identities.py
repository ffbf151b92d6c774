import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from circuitbase.errors import ModelError
from circuitbase.tracing.identities import read_dictionary_identity, read_model_identity
from tests.tiny_models import write_tiny_dictionary, write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny" / "model")


@pytest.fixture
def dictionary(tmp_path: Path, model: Path) -> Path:
    return write_tiny_dictionary(tmp_path / "tiny" / "transcoders", model)


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.yaml"
    found = {**yaml.safe_load(path.read_text()), **values}
    path.write_text(yaml.safe_dump({name: value for name, value in found.items() if value is not None}))


def change_layer(folder: Path, layer: int = 0, *, without: str | None = None, **arrays: np.ndarray) -> None:
    path = folder / f"layer_{layer}.safetensors"
    found = {**load_file(path), **arrays}
    save_file({name: array for name, array in found.items() if name != without}, path)


def test_a_model_is_called_by_its_folder_or_that_folders_parent_or_its_name_file(model: Path, tmp_path: Path) -> None:
    assert read_model_identity(model).name == "tiny"
    assert read_model_identity(shutil.copytree(model, tmp_path / "other one")).name == "other-one"
    (model / "circuitbase.json").write_text('{"name": "named"}')
    assert read_model_identity(str(model)).name == "named"


def test_a_models_identity_has_its_sizes(model: Path) -> None:
    found = read_model_identity(model)
    assert (found.n_layers, found.d_model, found.d_vocab, found.architecture) == (2, 16, 29, "GPT2LMHeadModel")
    assert found.revision is None


def test_digests_follow_contents_and_not_places(model: Path, dictionary: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(model.parent, tmp_path / "copy" / "tiny")
    found, copied = read_model_identity(model), read_model_identity(copy / "model")
    assert found == copied
    assert read_dictionary_identity(dictionary, model=found) == read_dictionary_identity(
        copy / "transcoders", model=found
    )
    weights = load_file(copy / "model" / "model.safetensors")
    weights["transformer.ln_f.bias"][0] += 1
    save_file(weights, copy / "model" / "model.safetensors", metadata={"format": "pt"})
    assert read_model_identity(copy / "model").digest != found.digest
    assert read_model_identity(copy / "model").tokenizer_digest == found.tokenizer_digest


def test_a_dictionary_called_transcoders_is_tc(model: Path, dictionary: Path) -> None:
    found = read_dictionary_identity(dictionary, model=read_model_identity(model))
    assert (found.name, found.kind, found.site, found.activation, found.n_features) == (
        "tc",
        "transcoder_set",
        "mlp",
        "jumprelu",
        24,
    )
    assert found.id.startswith(f"{read_model_identity(model).id}/tc@")


@pytest.mark.parametrize(("activation", "named"), [("relu", "relu"), ("topk", "topk"), ("jumprelu", "jumprelu")])
def test_the_activation_is_read_from_the_files(activation: str, named: str, model: Path, tmp_path: Path) -> None:
    folder = write_tiny_dictionary(tmp_path / "d", model, activation=activation)
    assert read_dictionary_identity(folder, model=read_model_identity(model)).activation == named


def test_a_folder_that_is_not_there_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such folder"):
        read_model_identity(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"the dictionary '.*nowhere' should be a folder or a hub id"):
        read_dictionary_identity(tmp_path / "nowhere", model=read_model_identity(model))


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ModelError, match=r"its config\.json cannot be read"):
        read_model_identity(tmp_path)
    (model / "config.json").write_text("{")
    with pytest.raises(ModelError, match="should hold a model's configuration as JSON"):
        read_model_identity(model)


def test_weights_that_are_no_safetensors_are_refused(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(ModelError, match="weights as safetensors, but holds pickles alone; allow pickles if you trust"):
        read_model_identity(model)
    assert read_model_identity(model, allow_pickle=True).n_layers == 2
    (model / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match="should hold the model's weights as safetensors, but holds none"):
        read_model_identity(model, allow_pickle=True)


def test_an_unsupported_architecture_is_refused_with_the_supported_ones(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    with pytest.raises(ModelError, match=r"one of GPT2LMHeadModel, GPTNeoXForCausalLM, .*, got BertModel.* an adapter"):
        read_model_identity(model)


def test_a_dictionary_for_another_model_is_refused_with_all_that_differs(model: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "wide" / "model", d_model=32, n_layers=3)
    folder = write_tiny_dictionary(tmp_path / "wide" / "transcoders", other)
    with pytest.raises(ModelError) as refusal:
        read_dictionary_identity(folder, model=read_model_identity(model))
    assert "its width is 32, the model's 16" in str(refusal.value)
    assert "it has 3 layers, the model 2" in str(refusal.value)
    assert "names the model wide, but the model is called tiny" in str(refusal.value)


def test_a_dictionary_that_names_another_model_is_refused_unless_told(model: Path, dictionary: Path) -> None:
    identity = read_model_identity(model)
    change_config(dictionary, model_name="openai/another")
    with pytest.raises(ModelError, match=r'write {"name": "another"} into circuitbase\.json'):
        read_dictionary_identity(dictionary, model=identity)
    assert read_dictionary_identity(dictionary, model=identity, any_model_name=True).n_features == 24
    assert read_dictionary_identity(dictionary, model=replace(identity, name="Another")).n_features == 24


def test_a_dictionary_that_names_no_model_is_judged_by_its_shape(model: Path, dictionary: Path) -> None:
    change_config(dictionary, model_name=None)
    assert read_dictionary_identity(dictionary, model=read_model_identity(model)).n_features == 24


def refusal(dictionary: Path, model: Path) -> str:
    with pytest.raises(ModelError) as found:
        read_dictionary_identity(dictionary, model=read_model_identity(model))
    return str(found.value)


def test_a_missing_layer_is_named(model: Path, dictionary: Path) -> None:
    (dictionary / "layer_0.safetensors").unlink()
    assert "but lacks layer_0.safetensors" in refusal(dictionary, model)


def test_fewer_layers_than_the_model_are_refused(model: Path, dictionary: Path) -> None:
    (dictionary / "layer_1.safetensors").unlink()
    assert "it has 1 layers, the model 2" in refusal(dictionary, model)


@pytest.mark.parametrize("name", ["W_enc", "W_dec"])
def test_a_transposed_matrix_is_said_to_be_one(name: str, model: Path, dictionary: Path) -> None:
    transposed = load_file(dictionary / "layer_1.safetensors")[name].T.copy()
    change_layer(dictionary, 1, **{name: transposed})
    assert f"{name} must have the shape [24, 16]" in refusal(dictionary, model)
    assert "it seems to be transposed" in refusal(dictionary, model)


def test_layers_of_different_sizes_are_refused(model: Path, dictionary: Path, tmp_path: Path) -> None:
    other = write_tiny_dictionary(tmp_path / "other", model, n_features=20)
    shutil.copy(other / "layer_1.safetensors", dictionary)
    assert "every layer must have the same shape" in refusal(dictionary, model)


def test_a_layer_without_a_matrix_is_refused(model: Path, dictionary: Path) -> None:
    change_layer(dictionary, without="b_enc")
    assert "should hold W_enc, W_dec, b_enc, b_dec, but lacks b_enc" in refusal(dictionary, model)


def test_arrays_that_mean_another_kind_of_dictionary_are_refused(model: Path, dictionary: Path) -> None:
    change_layer(dictionary, W_gate=np.zeros((24, 16), dtype=np.float32))
    assert "holds W_gate" in refusal(dictionary, model)


def test_the_k_that_saved_topk_sets_add_is_accepted(model: Path, tmp_path: Path) -> None:
    folder = write_tiny_dictionary(tmp_path / "d", model, activation="topk")
    change_layer(folder, k=np.array(6))
    assert read_dictionary_identity(folder, model=read_model_identity(model)).activation == "topk"


def test_thresholds_in_some_layers_alone_are_refused(model: Path, dictionary: Path) -> None:
    change_layer(dictionary, without="activation_function.threshold")
    assert "either every layer or none must have activation_function.threshold" in refusal(dictionary, model)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"activation": "gelu"}, "activation must be relu, topk or jumprelu, got gelu"),
        ({"activation": "topk", "k": 3}, "states the activation topk, but the layers have"),
        ({"feature_input_hook": "hook_resid_pre"}, "feature_input_hook must be one of hook_resid_mid"),
        ({"feature_output_hook": "hook_resid_post"}, "feature_output_hook must be one of mlp.hook_out, hook_mlp_out"),
        ({"model_kind": "crosscoder"}, "model_kind must be transcoder_set or cross_layer_transcoder, got crosscoder"),
        ({"transcoders": ["a.safetensors"]}, "lists a.safetensors, but there is no such file"),
        ({"feature_input_hook": "ln2.hook_normalized"}, "TransformerLens 2"),
        (
            {"feature_input_hook": "ln2.hook_normalized", "transformer_lens_version": "new"},
            "transformer_lens_version must be a version",
        ),
    ],
)
def test_a_config_that_cannot_be_used_is_refused(
    config: dict[str, object], sentence: str, model: Path, dictionary: Path
) -> None:
    change_config(dictionary, **config)
    assert sentence in refusal(dictionary, model)


@pytest.mark.parametrize(("k", "sentence"), [(None, "k must be a positive integer"), (25, "k must be at most the 24")])
def test_a_topk_set_needs_a_k_that_fits(k: int | None, sentence: str, model: Path, tmp_path: Path) -> None:
    folder = write_tiny_dictionary(tmp_path / "d", model, activation="topk")
    change_config(folder, k=k)
    assert sentence in refusal(folder, model)


def test_hooks_may_name_their_block(model: Path, dictionary: Path) -> None:
    change_config(
        dictionary, feature_input_hook="blocks.{layer}.mlp.hook_in", feature_output_hook="blocks.0.hook_mlp_out"
    )
    assert read_dictionary_identity(dictionary, model=read_model_identity(model)).n_features == 24


def test_a_file_that_is_no_safetensors_is_refused(model: Path, dictionary: Path) -> None:
    (dictionary / "layer_0.safetensors").write_bytes(b"\x80\x04pickle")
    assert "should be a safetensors file, but cannot be read" in refusal(dictionary, model)
