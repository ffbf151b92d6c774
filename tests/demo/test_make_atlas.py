"""The whole script at the smallest size, as the control with random weights."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from circuitbase.demo.make_atlas import AtlasOptions, make_atlas
from circuitbase.demo.tables import atlas_page
from circuitbase.demo.train_model import ModelOptions
from circuitbase.errors import ModelError
from circuitbase.training.batch_topk import TrainingOptions
from circuitbase.training.transcoder_set import load_transcoder_set

SMALL = TrainingOptions(n_features=40, k=4, steps=30, batch_rows=64)


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("control")
    options = AtlasOptions(trained=False, dictionary=SMALL, training_sentences=200, evaluation_sentences=100)
    make_atlas(out, options)
    return out


def test_the_control_is_an_ordinary_hugging_face_folder(control: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(control / "model", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(control / "model", local_files_only=True)
    assert (model.config.n_layer, model.config.n_head, model.config.n_embd) == (4, 4, 128)
    assert len(tokenizer) == model.config.vocab_size
    assert not list((control / "model").glob("*.bin"))


def test_dictionaries_are_written_for_every_layer(control: Path) -> None:
    assert [one.n_features for one in load_transcoder_set(control / "transcoders")] == [40] * 4
    assert len(list((control / "transcoders-topk").glob("layer_*.safetensors"))) == 4


def test_the_report_has_a_page_and_is_refused_for_no_gate(control: Path) -> None:
    report = json.loads((control / "report.json").read_text("utf-8"))
    assert report["trained"] is False
    assert len(report["gates"]) == 9
    assert not all(gate["passed"] for gate in report["gates"])
    page = atlas_page(report)
    assert page.count("| state is ") == 12
    for name in report["prompt_sets"]:
        assert f"| {name} |" in page


def test_a_trained_model_that_knows_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="two-hop on held-out"):
        make_atlas(tmp_path, AtlasOptions(model=ModelOptions(steps=1, sentences_per_step=8)))
