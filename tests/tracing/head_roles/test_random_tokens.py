import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.tracing.head_roles.random_tokens import TokenPool, distinct_tokens, repeated_tokens

POOL = TokenPool(torch.arange(10, 20), before=0)


def test_repeated_tokens_are_different_ones_twice_behind_the_first_token() -> None:
    found = repeated_tokens(POOL, sequences=5, period=4, seed=3)
    assert found.shape == (5, 9)
    assert (found[:, 0] == 0).all()
    torch.testing.assert_close(found[:, 1:5], found[:, 5:])
    assert all(len(set(row.tolist())) == 4 and min(row) >= 10 for row in found[:, 1:5])


def test_without_a_first_token_sequences_start_with_a_drawn_one() -> None:
    pool = TokenPool(POOL.tokens, before=None)
    assert repeated_tokens(pool, sequences=2, period=3, seed=0).shape == (2, 6)
    assert pool.start == 0


def test_another_seed_draws_others_and_the_same_seed_the_same() -> None:
    first = distinct_tokens(POOL, sequences=4, length=6, seed=1)
    assert torch.equal(first, distinct_tokens(POOL, sequences=4, length=6, seed=1))
    assert not torch.equal(first, distinct_tokens(POOL, sequences=4, length=6, seed=2))


def test_a_pool_that_is_too_small_is_refused() -> None:
    with pytest.raises(InputError, match="sequences of 11 different tokens need that many to draw from, but there are"):
        distinct_tokens(POOL, sequences=1, length=11, seed=0)
