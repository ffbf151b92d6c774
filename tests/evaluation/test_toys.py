"""Trained toys: each packaged one has the mechanism that is known of it."""

import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.evaluation.small_files import packaged_model
from circuitbase.evaluation.toy_pairs import toy_pairs
from circuitbase.evaluation.toy_signatures import (
    addition_signature,
    attention_patterns,
    greater_than_signature,
    heads_at_their_mean,
    induction_signature,
)
from circuitbase.evaluation.toy_tasks import later_years, predictable, repeated_sequences, sums, year_prompts
from circuitbase.evaluation.train_toys import TOYS, train_toy

TOY_NAMES = ("induction", "redundancy", "greater-than", "modular-addition")


def test_induction_is_a_previous_token_head_and_a_head_that_uses_it() -> None:
    found = induction_signature(packaged_model("induction").model)
    assert found.previous_token[0, 0] > 0.7
    assert found.previous_token[1, 0] < 0.1
    assert found.induction[1, 0] > 0.95
    assert found.induction[0, 0] < 0.1
    assert found.loss < 0.01
    assert min(found.loss_without.values()) > 4.0  # nats; uniform over 48 tokens is 3.9


def test_redundant_induction_heads_are_missed_jointly_and_not_alone() -> None:
    found = induction_signature(packaged_model("redundancy").model)
    alone = [found.loss_without[1, head] for head in range(4)]
    assert found.loss < 0.01
    assert (found.induction[1] > 0.5).sum() >= 3
    assert max(alone) < 0.3
    assert found.loss_without_layer[1] > 4.0


def test_greater_than_looks_at_the_year() -> None:
    found = greater_than_signature(packaged_model("greater-than").model)
    assert found.attention_to_year > 0.9
    assert found.probability_difference > 0.97


def test_modular_addition_uses_two_frequencies() -> None:
    found = addition_signature(packaged_model("modular-addition").model)
    assert found.power_share >= 0.95
    assert found.accuracy == 1.0
    assert found.accuracy_with_only > 0.9
    assert found.accuracy_without < 0.1


@pytest.mark.parametrize("name", TOY_NAMES)
def test_toys_prefer_the_correct_answer_of_their_pairs(name: str) -> None:
    model, pairs = packaged_model(name).model, toy_pairs(name)
    assert len(pairs) == 24
    row = torch.arange(24)
    clean, corrupted = (
        (last[row, pairs.correct] - last[row, pairs.wrong]).mean()
        for last in (model(tokens)[:, -1] for tokens in (pairs.clean, pairs.corrupted))
    )
    assert clean > 1.0
    assert clean - corrupted > 1.0


def test_packaged_toys_are_those_of_the_training_script() -> None:
    for name, toy in TOYS.items():
        stored = packaged_model(name)
        assert stored.model.config == toy.config
        assert stored.facts == {"says": toy.says, "steps": toy.steps, "seed": toy.seed}


def test_the_same_seed_trains_the_same_toy() -> None:
    from dataclasses import replace

    toy = replace(TOYS["greater-than"], steps=3)
    first, second = (train_toy(toy).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_repeated_sequences_repeat_with_their_own_period() -> None:
    repeated = repeated_sequences(50, generator=torch.Generator().manual_seed(0))
    assert len(set(repeated.period.tolist())) > 5
    for row, period, prefix in zip(repeated.tokens, repeated.period, repeated.prefix, strict=True):
        block = row[prefix:]
        assert torch.equal(block[period:], block[:-period])
        first = row[: prefix + period].tolist()
        assert len(set(first)) == len(first)
    known = predictable(repeated)
    assert torch.equal(known.bool(), repeated.again[:, :-1])
    assert known.sum(-1).tolist() == [63 - p - n for p, n in zip(repeated.period, repeated.prefix, strict=True)]


def test_later_years_are_uniform_over_what_comes_behind() -> None:
    table = later_years()
    assert table[47].nonzero().flatten().tolist() == [48, 49]
    assert table.sum(-1).tolist() == pytest.approx([1.0] * 49)
    assert year_prompts()[3].tolist() == [50, 3, 51, 52]
    assert sums(torch.tensor([[30, 10, 37]])).tolist() == [3]


def test_a_head_at_its_mean_comes_back_afterwards() -> None:
    model = packaged_model("induction").model
    tokens = repeated_sequences(2, generator=torch.Generator().manual_seed(0)).tokens
    before = model(tokens)
    with heads_at_their_mean(model, [(0, 0)]):
        assert not torch.allclose(model(tokens), before)
    assert torch.equal(model(tokens), before)


def test_patterns_are_those_of_the_forward_pass() -> None:
    model = packaged_model("redundancy").model
    tokens = repeated_sequences(2, generator=torch.Generator().manual_seed(0)).tokens
    patterns = attention_patterns(model, tokens)
    assert patterns.shape == (2, 2, 4, 64, 64)
    torch.testing.assert_close(patterns.sum(-1), torch.ones(2, 2, 4, 64))


def test_pairs_of_an_unknown_toy_are_refused() -> None:
    with pytest.raises(InputError, match="must be one of induction, redundancy"):
        toy_pairs("sorting")
