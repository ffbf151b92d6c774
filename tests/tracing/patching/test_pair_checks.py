"""Symmetric token replacement, told from other corruptions."""

import pytest

from circuitbase.errors import InputError
from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.patching.pair_checks import check_replacements


def test_swapped_tokens_of_one_template_are_symmetric() -> None:
    pairs = [Pair((0, 5, 9, 6), (0, 7, 9, 6)), Pair((0, 7, 9, 8), (0, 5, 9, 8))]
    assert [check.symmetric for check in check_replacements(pairs)] == [True, True]
    assert [check.differing for check in check_replacements(pairs)] == [(1,), (1,)]


def test_a_token_that_no_clean_prompt_has_there_is_strange() -> None:
    pairs = [Pair((0, 5, 9, 6), (0, 6, 9, 6)), Pair((0, 7, 9, 8), (0, 5, 9, 8))]
    first, second = check_replacements(pairs)
    assert (first.strange, first.in_distribution, first.symmetric) == ((1,), False, False)
    assert second.symmetric


def test_tokens_that_change_places_are_not_strange() -> None:
    (check,) = check_replacements([Pair((0, 1, 2, 3, 4, 5, 6), (0, 4, 2, 3, 1, 5, 6))])
    assert (check.differing, check.strange, check.symmetric) == ((1, 4), (), True)


def test_tokens_of_prompts_of_another_length_do_not_count() -> None:
    pairs = [Pair((0, 5, 9, 6), (0, 7, 9, 6)), Pair((0, 7, 9, 8, 1), (0, 5, 9, 8, 1))]
    assert [check.strange for check in check_replacements(pairs)] == [(1,), (1,)]


def test_many_differing_positions_are_another_template_and_lengths_must_agree() -> None:
    pairs = [Pair((0, 1, 2, 3, 4, 5), (0, 2, 1, 4, 3, 5)), Pair((0, 2, 1, 4, 3, 5), (0, 2, 1))]
    first, second = check_replacements(pairs)
    assert (first.same_length, first.same_template, first.in_distribution) == (True, False, True)
    assert (second.same_length, second.same_template, second.in_distribution) == (False, False, False)
    assert check_replacements(pairs, largest_share=1.0)[0].symmetric
    with pytest.raises(InputError, match=r"above 0 and at most 1, got 0.0"):
        check_replacements(pairs, largest_share=0.0)
