import numpy as np
import pytest
import torch

from circuitbase.tracing.head_roles.positional import positional_share

N, T = 400, 6
CAUSAL = torch.ones(1, T, T).tril().bool()


def test_a_pattern_that_is_always_the_same_is_positional() -> None:
    pattern = torch.eye(T).expand(N, 1, 1, T, T)
    assert positional_share(pattern, visible=CAUSAL).item() == pytest.approx(1)


def test_an_even_pattern_has_no_position() -> None:
    even = (CAUSAL / CAUSAL.sum(-1, keepdim=True)).float().expand(N, 1, 1, T, T)
    assert positional_share(even, visible=CAUSAL).item() == 0


def test_a_pattern_that_follows_chance_is_not_positional() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = 5 * torch.randn(N, 1, 1, T, T, generator=generator)
    pattern = scores.masked_fill(~CAUSAL, float("-inf")).softmax(-1)
    assert positional_share(pattern, visible=CAUSAL).item() < 0.01


def test_a_head_that_is_positional_half_of_the_time_has_the_share_of_a_mean() -> None:
    """With p = e_t or e_0, each on half of the prompts: (mean - even)² over the mean of (p - even)²."""
    one, other = torch.eye(T), torch.zeros(T, T)
    other[:, 0] = 1
    pattern = torch.stack([one, other] * (N // 2))[:, None, None]
    seen = CAUSAL[0].double()
    even = seen / seen.sum(-1, keepdim=True)
    explained = (((one + other) / 2 - even) * seen).square().sum()
    total = (((one - even) * seen).square().sum() + ((other - even) * seen).square().sum()) / 2
    expected = float(explained / total)
    np.testing.assert_allclose(positional_share(pattern, visible=CAUSAL), [[expected]], rtol=0.01)


def test_few_prompts_of_chance_do_not_look_positional() -> None:
    generator = torch.Generator().manual_seed(1)
    scores = 5 * torch.randn(4, 1, 50, T, T, generator=generator)
    pattern = scores.masked_fill(~CAUSAL, float("-inf")).softmax(-1)
    assert positional_share(pattern, visible=CAUSAL).mean() < 0.1  # the mean of 4 prompts alone explains a quarter
