"""Transcoders saved in circuit-tracer's format and read back."""

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from circuitbase.errors import ModelError
from circuitbase.training.transcoder import Transcoder
from circuitbase.training.transcoder_set import load_transcoder_set, save_transcoder_set


def random_transcoder(seed: int) -> Transcoder:
    generator = torch.Generator().manual_seed(seed)
    matrix, vector = torch.randn(2, 10, 6, generator=generator), torch.rand(2, 10, generator=generator)
    return Transcoder(matrix[0], matrix[1], vector[0], torch.randn(6, generator=generator), vector[1])


def test_a_saved_set_is_read_back_equal(tmp_path: Path) -> None:
    saved = [random_transcoder(0), random_transcoder(1)]
    save_transcoder_set(saved, tmp_path / "set", model_name="tiny")
    loaded = load_transcoder_set(tmp_path / "set")
    rows = torch.randn(5, 6)
    assert len(loaded) == 2
    for one, other in zip(saved, loaded, strict=True):
        assert torch.equal(one(rows), other(rows))
        assert torch.equal(one.threshold, other.threshold)


def test_the_folder_has_the_names_of_circuit_tracer(tmp_path: Path) -> None:
    save_transcoder_set([random_transcoder(0)], tmp_path, model_name="tiny")
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == {
        "model_name": "tiny",
        "model_kind": "transcoder_set",
        "feature_input_hook": "mlp.hook_in",
        "feature_output_hook": "mlp.hook_out",
    }
    arrays = load_file(tmp_path / "layer_0.safetensors")
    assert {name: tuple(array.shape) for name, array in arrays.items()} == {
        "W_enc": (10, 6),
        "W_dec": (10, 6),
        "b_enc": (10,),
        "b_dec": (6,),
        "activation_function.threshold": (10,),
    }


def test_a_topk_set_has_no_thresholds_and_cannot_be_scored_as_one(tmp_path: Path) -> None:
    save_transcoder_set([random_transcoder(0)], tmp_path, model_name="tiny", top_k=4)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert (config["activation"], config["k"]) == ("topk", 4)
    with pytest.raises(ModelError, match=r"should hold activation_function\.threshold but holds W_dec"):
        load_transcoder_set(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"should hold layer_0\.safetensors"):
        load_transcoder_set(tmp_path)
