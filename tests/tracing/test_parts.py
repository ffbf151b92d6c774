"""What each adapter says, against the module itself: from the parts every block's output and the logits follow."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from circuitbase.tracing.dtypes import DType
from circuitbase.tracing.models import TracedModel, load_model
from circuitbase.tracing.parts import Attention, Block, Norm
from tests.tiny_configs import PECULIAR
from tests.tiny_models import write_tiny_model

TOKENS = torch.tensor([[0, 5, 9, 4, 28, 12, 7]])
SEQUENTIAL = {"use_parallel_residual": False}
CASES = [
    *(pytest.param(architecture, {}, id=architecture) for architecture in PECULIAR),
    pytest.param("GPTNeoXForCausalLM", SEQUENTIAL, id="GPTNeoXForCausalLM-sequential"),
]


def tiny(folder: Path, architecture: str, settings: dict[str, Any], *, dtype: DType = "float64") -> TracedModel:
    write_tiny_model(folder / "model", architecture=architecture, n_layers=3, settings=settings)
    return load_model(folder / "model", dtype=dtype)


class Seen:
    """What a forward pass gave to modules and got from them."""

    def __init__(self, model: TracedModel) -> None:
        self.given: dict[nn.Module, Any] = {}
        self.result: dict[nn.Module, Any] = {}
        hooks = [module.register_forward_hook(self._keep) for module in model.module.modules()]
        self.logits = model.module(input_ids=TOKENS, use_cache=False).logits[0]
        for hook in hooks:
            hook.remove()

    def _keep(self, module: nn.Module, given: tuple[Any, ...], result: Any) -> None:
        self.given[module], self.result[module] = (given[0] if given else None), result

    def output(self, module: nn.Module) -> Tensor:
        result = self.result[module]
        return (result[0] if isinstance(result, tuple) else result)[0]


def normed(norm: Norm | None, x: Tensor) -> Tensor:
    if norm is None:
        return x
    centre = x.mean(-1, keepdim=True) if norm.centred else 0
    scale = ((x - centre).pow(2).mean(-1, keepdim=True) + norm.epsilon).sqrt()
    return (x - centre) / scale * norm.weight + (0 if norm.bias is None else norm.bias)


def head_values(attention: Attention, x: Tensor, pattern: Tensor) -> Tensor:
    values = torch.einsum("pd,gdh->gph", x, attention.W_V)
    if attention.b_V is not None:
        values = values + attention.b_V[:, None]
    per_group = len(pattern) // len(values)
    return torch.stack([pattern[head] @ values[head // per_group] for head in range(len(pattern))], dim=1)


def block_output(block: Block, x: Tensor, pattern: Tensor) -> Tensor:
    attention = block.attention
    z = head_values(attention, normed(block.attention_norm, x), pattern)
    written = torch.einsum("phk,hkd->pd", z, attention.W_O) + (0 if attention.b_O is None else attention.b_O)
    middle = x + normed(block.attention_post_norm, written)
    read = normed(block.mlp_norm, x if block.parallel else middle)
    return middle + normed(block.mlp_post_norm, block.mlp(read[None])[0])


@pytest.mark.parametrize(("architecture", "settings"), CASES)
def test_the_parts_give_every_blocks_output_and_the_logits(
    architecture: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    model = tiny(tmp_path, architecture, settings)
    parts, seen = model.parts, Seen(model)
    for block in parts.blocks:
        pattern = seen.result[block.attention.module][1][0]
        assert pattern.shape == (len(block.attention.W_O), 7, 7)
        rebuilt = block_output(block, seen.given[block.module][0], pattern)
        torch.testing.assert_close(rebuilt, seen.output(block.module), atol=1e-10, rtol=0)
    final = normed(parts.final_norm, seen.output(parts.blocks[-1].module))
    logits = final @ parts.W_U.T + (0 if parts.b_U is None else parts.b_U)
    cap = getattr(model.module.config, "final_logit_softcapping", None)
    capped = logits if cap is None else cap * torch.tanh(logits / cap)
    torch.testing.assert_close(capped, seen.logits, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("architecture", "settings"), CASES)
def test_the_output_module_takes_the_values_of_the_heads_in_order(
    architecture: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    model = tiny(tmp_path, architecture, settings)
    seen = Seen(model)
    for block in model.parts.blocks:
        x = normed(block.attention_norm, seen.given[block.module][0])
        z = head_values(block.attention, x, seen.result[block.attention.module][1][0])
        torch.testing.assert_close(z.flatten(1), seen.given[block.attention.output][0], atol=1e-10, rtol=0)


@pytest.mark.parametrize(("architecture", "settings"), CASES)
def test_block_0_reads_the_token_embedding_unless_positions_add_to_it(
    architecture: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    model = tiny(tmp_path, architecture, settings)
    seen, embedding = Seen(model), model.module.get_input_embeddings()
    assert model.parts.embedding is (embedding if architecture == "GPT2LMHeadModel" else None)
    read, token = seen.given[model.parts.blocks[0].module][0], seen.output(embedding)
    same = torch.cosine_similarity(read, token, dim=-1).min() > 1 - 1e-12  # a Gemma's may be scaled on the way
    assert same == (architecture != "GPT2LMHeadModel")


@pytest.mark.parametrize(("architecture", "settings"), CASES)
def test_in_single_precision_the_norms_are_those_of_the_module(
    architecture: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    model = tiny(tmp_path, architecture, settings, dtype="float32")
    seen, blocks = Seen(model), model.parts.blocks
    norms = [block.attention_norm or block.attention_post_norm for block in blocks]
    for norm in [*norms, model.parts.final_norm]:
        assert norm is not None
        torch.testing.assert_close(normed(norm, seen.given[norm.module][0]), seen.output(norm.module))


@pytest.mark.parametrize(
    ("architecture", "windows"),
    [
        ("LlamaForCausalLM", [7, 7, 7]),
        ("MistralForCausalLM", [3, 3, 3]),
        ("Gemma2ForCausalLM", [3, 7, 3]),
        ("Gemma3ForCausalLM", [3, 7, 3]),
        ("Gemma3ForConditionalGeneration", [3, 7, 3]),
        ("Phi3ForCausalLM", [4, 4, 4]),
    ],
)
def test_the_tiny_models_have_windows_shorter_than_the_prompt(
    architecture: str, windows: list[int], tmp_path: Path
) -> None:
    model = tiny(tmp_path, architecture, {})
    seen = Seen(model)
    patterns = [seen.result[block.attention.module][1][0] for block in model.parts.blocks]
    assert [int((pattern[0, -1] > 0).sum()) for pattern in patterns] == windows


@pytest.mark.parametrize("architecture", PECULIAR)
def test_weights_are_not_copied(architecture: str, tmp_path: Path) -> None:
    model = tiny(tmp_path, architecture, {})
    own = {parameter.untyped_storage().data_ptr() for parameter in model.module.parameters()}
    for block in model.parts.blocks:
        assert block.attention.W_V.untyped_storage().data_ptr() in own
        assert block.attention.W_O.untyped_storage().data_ptr() in own


def test_a_gemma_norms_weight_keeps_what_bfloat16_cannot_add(tmp_path: Path) -> None:
    model = tiny(tmp_path, "Gemma2ForCausalLM", {}, dtype="bfloat16")
    norm = model.parts.final_norm
    assert norm.weight.dtype == torch.float32
    torch.testing.assert_close(norm.weight - 1, norm.module.weight.float(), atol=1e-7, rtol=0)
