import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.detection import read_stored_dictionary
from tests.tracing.foreign_dictionaries import dictionary_learning
from tests.tracing.reading import check_computes_what_its_format_says, read_layers, refusal

CLASSES = {
    "AutoEncoder": "relu",
    "AutoEncoderNew": "relu",
    "GatedAutoEncoder": "jumprelu",
    "AutoEncoderTopK": "topk",
    "BatchTopKSAE": "jumprelu",
    "JumpReluAutoEncoder": "jumprelu",
    "MatryoshkaBatchTopKSAE": "jumprelu",
}


@pytest.mark.parametrize(("dict_class", "activation"), CLASSES.items())
def test_a_class_computes_what_the_library_does(
    dict_class: str, activation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = dictionary_learning(tmp_path, dict_class=dict_class)
    described = check_computes_what_its_format_says(foreign, monkeypatch).described
    assert (described.kind, described.rule.activation) == ("sae_set", activation)
    assert (described.reads.name, described.model_name) == ("mlp.output", "some/tiny")


@pytest.mark.parametrize(
    ("submodule", "point"),
    [
        (None, "output"),
        ("resid_post_layer_{layer}", "output"),
        ("attn_out_layer_{layer}", "attn.output"),
        ("attention", "attn.output"),
        ("mlp", "mlp.output"),
        ("gpt_neox.layers.{layer}.mlp", "mlp.output"),
    ],
)
def test_the_submodules_name_says_what_is_read(submodule: str | None, point: str, tmp_path: Path) -> None:
    dictionary_learning(tmp_path, submodule=submodule)
    assert read_stored_dictionary(tmp_path).described.reads.name == point


def change(folder: Path, **entries: Any) -> None:
    path = folder / "trainer_0" / "config.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "trainer": {**found["trainer"], **entries}}))


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"dict_class": "CrossCoder"}, "dict_class must be one of AutoEncoder, AutoEncoderNew"),
        ({"layer": "three"}, "layer must be the number of a layer, got three"),
        ({"submodule_name": "somewhere"}, "submodule_name must name a module in a way that is known"),
        ({"dict_class": "AutoEncoderTopK"}, "k must be a positive integer, got None"),
        ({"dict_class": "GatedAutoEncoder"}, "but lacks gate_bias, mag_bias, r_mag, decoder_bias"),
        ({"layer": 1}, "layer 1 has 2: trainer_0, trainer_1"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(entries: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    dictionary_learning(tmp_path)
    change(tmp_path, **entries)
    assert sentence in refusal(tmp_path)


def test_a_threshold_that_was_never_set_is_refused(tmp_path: Path) -> None:
    dictionary_learning(tmp_path, dict_class="BatchTopKSAE")
    path = tmp_path / "trainer_1" / "ae.pt"
    torch.save({**torch.load(path), "threshold": torch.tensor(-1.0)}, path)
    with pytest.raises(ModelError, match=r"threshold is -1, so the threshold .* was never set"):
        read_layers(read_stored_dictionary(tmp_path), lazy=True)


def test_the_checkpoint_of_an_interrupted_run_is_refused(tmp_path: Path) -> None:
    dictionary_learning(tmp_path)
    path = tmp_path / "trainer_0" / "ae.pt"
    torch.save({"step": 3, "ae": torch.load(path), "optimizer": {}, "config": {}, "norm_factor": 2.0}, path)
    assert "is the checkpoint of an interrupted run" in refusal(tmp_path)


def test_no_code_of_a_pickle_is_run(tmp_path: Path) -> None:
    dictionary_learning(tmp_path)
    path, ran = tmp_path / "trainer_0" / "ae.pt", tmp_path / "ran"

    class Touches:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (ran,)

    for write in (torch.save, lambda value, to: to.write_bytes(pickle.dumps(value))):
        write({"encoder.weight": Touches()}, path)
        assert "should hold tensors alone" in refusal(tmp_path)
        assert not ran.exists()


def test_a_file_that_holds_no_mapping_is_refused(tmp_path: Path) -> None:
    dictionary_learning(tmp_path)
    torch.save(torch.zeros(3), tmp_path / "trainer_0" / "ae.pt")
    assert "should hold a mapping of names to tensors, but holds a Tensor" in refusal(tmp_path)


def test_a_transposed_decoder_is_said_to_be_one(tmp_path: Path) -> None:
    dictionary_learning(tmp_path)
    path = tmp_path / "trainer_1" / "ae.pt"
    found = torch.load(path)
    torch.save({**found, "decoder.weight": found["decoder.weight"].T.contiguous()}, path)
    assert "decoder.weight must have the shape [16, 24]" in refusal(tmp_path)
    assert "it seems to be transposed" in refusal(tmp_path)
