from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.tracing.foreign_dictionaries import D_MODEL, N_FEATURES, circuit_tracer_clt, save
from tests.tracing.reading import check_computes_what_its_format_says, refusal


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("threshold", [False, True])
def test_a_cross_layer_transcoder_computes_what_circuit_tracer_does(
    skip: bool, threshold: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = circuit_tracer_clt(tmp_path, skip=skip, threshold=threshold)
    stored = check_computes_what_its_format_says(foreign, monkeypatch)
    assert stored.described.kind == "cross_layer_transcoder"
    assert [len(layer.W_dec) for layer in stored.layers] == [2, 1]
    assert (stored.described.reads.name, stored.described.writes.name) == ("hook_resid_mid", "hook_mlp_out")
    assert stored.described.model_name == "some/tiny"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    circuit_tracer_clt(tmp_path)
    (tmp_path / "W_dec_0.safetensors").unlink()
    assert "but lacks W_dec_0.safetensors" in refusal(tmp_path)
    (tmp_path / "W_enc_0.safetensors").unlink()
    assert "but lacks W_enc_0.safetensors, W_dec_0.safetensors" in refusal(tmp_path)


def test_a_decoder_without_all_later_layers_is_refused(tmp_path: Path) -> None:
    circuit_tracer_clt(tmp_path)
    save(tmp_path / "W_dec_0.safetensors", W_dec_0=np.zeros((N_FEATURES, 1, D_MODEL)))
    assert f"W_dec_0 must have the shape [{N_FEATURES}, 2, {D_MODEL}]" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["threshold", "W_skip"])
def test_what_some_layers_alone_have_is_refused(name: str, tmp_path: Path) -> None:
    circuit_tracer_clt(tmp_path, skip=True)
    arrays = load_file(tmp_path / "W_enc_1.safetensors")
    save(tmp_path / "W_enc_1.safetensors", **{key: array for key, array in arrays.items() if key != f"{name}_1"})
    assert f"either every layer or none must have {name}, but layer 1 lacks it" in refusal(tmp_path)


def test_a_transposed_encoder_is_said_to_be_one(tmp_path: Path) -> None:
    circuit_tracer_clt(tmp_path)
    arrays = load_file(tmp_path / "W_enc_1.safetensors")
    save(tmp_path / "W_enc_1.safetensors", **{**arrays, "W_enc_1": arrays["W_enc_1"].T})
    assert "it seems to be transposed" in refusal(tmp_path)
