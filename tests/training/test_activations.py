"""What MLPs read and write, against the modules called by hand."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from circuitbase.training.activations import TokenBatch, mlp_activations


def tiny_model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=30, n_positions=16, n_embd=16, n_layer=2, n_head=2)).eval()


def test_outputs_are_the_mlps_of_the_inputs() -> None:
    model = tiny_model()
    tokens = torch.randint(30, (3, 7), generator=torch.Generator().manual_seed(1))
    found = mlp_activations(model, [TokenBatch(tokens, torch.ones_like(tokens, dtype=torch.bool))])
    assert found.inputs.shape == found.outputs.shape == (2, 21, 16)
    for layer, block in enumerate(model.transformer.h):
        torch.testing.assert_close(block.mlp(found.inputs[layer]), found.outputs[layer])


def test_only_kept_positions_are_collected_in_reading_order() -> None:
    model = tiny_model()
    tokens = torch.randint(30, (2, 5), generator=torch.Generator().manual_seed(1))
    every = torch.ones_like(tokens, dtype=torch.bool)
    keep = every.clone()
    keep[:, 0] = False
    keep[1, 3:] = False
    whole = mlp_activations(model, [TokenBatch(tokens, every)]).inputs
    part = mlp_activations(model, [TokenBatch(tokens, keep)]).inputs
    assert torch.equal(part, whole[:, keep.flatten()])


def test_batches_are_joined_and_hooks_are_gone() -> None:
    model = tiny_model()
    tokens = torch.randint(30, (4, 5), generator=torch.Generator().manual_seed(1))
    every = torch.ones_like(tokens, dtype=torch.bool)
    one = mlp_activations(model, [TokenBatch(tokens, every)])
    two = mlp_activations(model, [TokenBatch(tokens[:2], every[:2]), TokenBatch(tokens[2:], every[2:])])
    torch.testing.assert_close(one.outputs, two.outputs)
    assert all(not block.mlp._forward_hooks for block in model.transformer.h)
