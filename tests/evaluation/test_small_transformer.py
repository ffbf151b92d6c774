"""The small transformer, against the definition written out, and through its file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from circuitbase.errors import InputError, ModelError
from circuitbase.evaluation.small_files import HEADER, load_small, packaged_model, packaged_models, save_small
from circuitbase.evaluation.small_transformer import SmallConfig, SmallTransformer

CONFIG = SmallConfig(
    n_layers=2, n_heads=2, d_model=6, d_head=3, d_mlp=5, d_vocab=7, d_vocab_out=4, n_positions=5, norm="layer",
    activation="gelu", score_scale=3**-0.5,
)  # fmt: skip
OTHERS = {
    "with layer norms": CONFIG,
    "without norms": replace(CONFIG, norm=None, activation="relu"),
    "without biases": replace(CONFIG, norm=None, biases=False),
    "without MLPs": replace(CONFIG, d_mlp=0),
    "not causal": replace(CONFIG, causal=False),
}


def random_model(config: SmallConfig) -> SmallTransformer:
    torch.manual_seed(0)
    model = SmallTransformer(config).double().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("case", OTHERS)
def test_logits_are_those_of_the_definition(case: str) -> None:
    config = OTHERS[case]
    model = random_model(config)
    tokens = torch.tensor([[1, 2, 3, 3]])
    x = [model.W_E[token] + model.W_pos[place] for place, token in enumerate(tokens[0])]
    for block in model.blocks:
        bias = {
            name: getattr(block, name) if config.biases else torch.zeros(config.n_heads, 1) for name in ("b_Q", "b_K")
        }
        read = [block.norm_attention(each) if config.norm else each for each in x]
        after = []
        for q in range(4):
            total = x[q] + (block.b_O if config.biases else 0.0)
            for h in range(config.n_heads):
                seen = range(q + 1) if config.causal else range(4)
                query = read[q] @ block.W_Q[h] + bias["b_Q"][h]
                scores = [config.score_scale * (query @ (read[k] @ block.W_K[h] + bias["b_K"][h])) for k in seen]
                weight = torch.stack(scores).softmax(0)
                values = [read[k] @ block.W_V[h] + (block.b_V[h] if config.biases else 0.0) for k in seen]
                total = total + sum(w * v for w, v in zip(weight, values, strict=True)) @ block.W_O[h]
            if config.d_mlp:
                inner = block.norm_mlp(total) if config.norm else total
                hidden = inner @ block.W_in + (block.b_in if config.biases else 0.0)
                act = torch.nn.functional.gelu(hidden) if config.activation == "gelu" else hidden.relu()
                total = total + act @ block.W_out + (block.b_out if config.biases else 0.0)
            after.append(total)
        x = after
    final = torch.stack([model.norm_final(each) if config.norm else each for each in x])
    expected = final @ model.W_U + (model.b_U if config.biases else 0.0)
    torch.testing.assert_close(model(tokens)[0], expected)


def test_a_model_comes_back_from_its_file_with_what_is_known_of_it(tmp_path: Path) -> None:
    model = random_model(CONFIG).float()
    path = tmp_path / "model.safetensors"
    save_small(model, path, facts={"vocabulary": ["a"]}, arrays={"tokens": torch.tensor([[1, 2]])})
    back = load_small(path)
    assert back.model.config == CONFIG
    assert back.facts == {"vocabulary": ["a"]}
    assert back.arrays["tokens"].tolist() == [[1, 2]]
    assert torch.equal(back.model(torch.tensor([[1, 2]])), model(torch.tensor([[1, 2]])))


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_small(random_model(CONFIG), tmp_path / name, facts={"b": 1, "a": 2})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_more_tokens_than_positions_are_refused() -> None:
    with pytest.raises(ModelError, match="has 5 positions, got 6 tokens"):
        random_model(CONFIG)(torch.zeros(1, 6, dtype=torch.long))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="should be a safetensors file"):
        load_small(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="in its header"):
        load_small(path)


def test_a_file_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    path, model = tmp_path / "other.safetensors", random_model(CONFIG)
    save_small(model, path)
    header = {HEADER: json.dumps({"config": vars(replace(CONFIG, n_layers=3)), "facts": {}})}
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path, metadata=header)
    with pytest.raises(ModelError, match="weights that its own config does not ask for"):
        load_small(path)


def test_packaged_models_are_small() -> None:
    sizes = [path.stat().st_size for path in packaged_models().values()]
    assert max(sizes) < 1_000_000
    assert sum(sizes) < 3_000_000


def test_an_unknown_packaged_model_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="two-hop"):
        packaged_model("three-hop")
