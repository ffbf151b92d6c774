import json
from pathlib import Path

import pytest

from circuitbase.errors import ModelError
from circuitbase.tracing.architectures import ARCHITECTURES
from circuitbase.tracing.model_config import ModelConfig, read_model_config
from tests.tiny_configs import PECULIAR
from tests.tiny_models import write_tiny_model


def test_there_is_a_tiny_model_of_every_supported_architecture() -> None:
    assert list(PECULIAR) == list(ARCHITECTURES)


@pytest.mark.parametrize("architecture", PECULIAR)
def test_sizes_are_read_whatever_an_architecture_calls_them(architecture: str, tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model", architecture=architecture, n_layers=3, n_positions=12)
    assert read_model_config(folder) == ModelConfig(
        architecture=architecture,
        n_layers=3,
        d_model=16,
        d_vocab=29,
        n_positions=12,
        n_heads=2 if architecture.startswith("GPT2") else 4,
        bos_token=0,
    )


def test_sizes_that_a_text_config_leaves_out_are_those_of_its_architecture(tmp_path: Path) -> None:
    text = {"model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 34}
    described = {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": text}
    (tmp_path / "config.json").write_text(json.dumps(described))
    found = read_model_config(tmp_path)
    assert (found.n_layers, found.d_model, found.d_vocab, found.n_positions) == (34, 2560, 262_208, 131_072)


def test_a_size_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2}')
    with pytest.raises(ModelError, match="should give n_embd or hidden_size as a positive integer"):
        read_model_config(tmp_path)


def test_a_config_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="should name the model's `architectures`"):
        read_model_config(tmp_path)
