"""Heads of known role get 1 or nearly, others near 0."""

import numpy as np
import pytest
import torch

from circuitbase.tracing.head_roles.answer_prompts import AnswerPrompt, with_roles_exchanged
from circuitbase.tracing.head_roles.measuring import head_roles
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.ordered_lists import OrderedList
from circuitbase.tracing.head_roles.random_tokens import TokenPool
from circuitbase.tracing.head_roles.roles import HeadRoles, Role
from tests.tracing.head_roles.hand_made import (
    BOS,
    END,
    V,
    duplicate_token,
    hand_made,
    induction,
    name_mover,
    name_noter,
    nothing,
    previous_token,
    successor,
)

POOL = TokenPool(torch.arange(2, V), before=BOS)
OPTIONS = HeadRoleOptions(periods=(8, 12), sequences=8, length=10, seeds=(0, 1))
NAMES = (4, 5, 6, 7)


def measured(model, prompts=()) -> HeadRoles:
    return head_roles(
        model,
        POOL,
        vocabulary=torch.arange(2, V),
        lists=[OrderedList("letters", tuple(range(2, V)))],
        prompts=prompts,
        options=OPTIONS,
    )


@pytest.fixture(scope="module")
def looking() -> HeadRoles:
    return measured(hand_made([previous_token(), duplicate_token()], [induction(), successor()]))


@pytest.fixture(scope="module")
def moving() -> HeadRoles:
    # "A B , B to": the noter sees the last name, so the mover takes the other
    model = hand_made([nothing(), name_noter(place=4)], [name_mover(NAMES), nothing()])
    prompts = [AnswerPrompt((BOS, a, b, 9, b, END), (a,), (b,)) for a in NAMES for b in NAMES if a != b]
    return measured(model, [with_roles_exchanged(prompt) for prompt in prompts])


@pytest.mark.parametrize(
    ("role", "layer", "head", "others"),
    [
        (Role.PREVIOUS_TOKEN, 0, 0, 0.2),
        (Role.DUPLICATE_TOKEN, 0, 1, 0.1),
        (Role.INDUCTION, 1, 0, 0.1),
        (Role.COPYING, 1, 0, 0.15),
        (Role.SUCCESSOR, 1, 1, 0.1),
        (Role.POSITIONAL, 0, 0, 0.01),
    ],
)
def test_a_head_of_known_role_gets_one_and_the_others_little(
    looking: HeadRoles, role: Role, layer: int, head: int, others: float
) -> None:
    score = looking.scores[role].score.copy()
    assert score[layer, head] > 0.99
    score[layer, head] = 0
    assert np.abs(score).max() < others


def test_a_head_has_the_roles_above_their_bounds(looking: HeadRoles) -> None:
    found = {(a, b): looking.roles(layer=a, head=b) for a in range(2) for b in range(2)}
    assert found == {
        (0, 0): [Role.PREVIOUS_TOKEN, Role.POSITIONAL],
        (0, 1): [Role.DUPLICATE_TOKEN],
        (1, 0): [Role.INDUCTION, Role.COPYING],
        (1, 1): [Role.SUCCESSOR],
    }


def test_without_prompts_name_movers_are_not_measured(looking: HeadRoles) -> None:
    assert looking.score(Role.NAME_MOVER, layer=1, head=0) is None
    assert Role.S_INHIBITION not in looking.scores


def test_a_name_mover_and_the_head_that_steers_it_are_found(moving: HeadRoles) -> None:
    np.testing.assert_allclose(moving.scores[Role.NAME_MOVER].score, [[0, 0], [1, 0]], atol=1e-6)
    np.testing.assert_allclose(moving.scores[Role.S_INHIBITION].score, [[0, 1], [0, 0]], atol=1e-6)
    assert moving.scores[Role.S_INHIBITION].measured_on["name_movers"] == ["a1.h0"]


def test_a_name_mover_that_takes_any_name_is_steered_by_no_head() -> None:
    model = hand_made([nothing(), nothing()], [name_mover(NAMES), nothing()])
    prompt = with_roles_exchanged(AnswerPrompt((BOS, 4, 5, 9, 5, END), (4,), (5,)))
    found = measured(model, [prompt])
    assert np.isnan(found.scores[Role.S_INHIBITION].score).all()
    assert "name mover" in found.scores[Role.S_INHIBITION].measured_on["not_measured"]


def test_prompts_that_do_not_show_their_answer_measure_nothing() -> None:
    model = hand_made([nothing()], [name_mover(NAMES)])
    found = measured(model, [AnswerPrompt((BOS, 4, END), (7,), (5,))])
    assert np.isnan(found.scores[Role.NAME_MOVER].score).all()
    assert found.scores[Role.NAME_MOVER].measured_on["left_out"] == 1


def test_the_evidence_of_a_head_names_data_seeds_counts_and_bound(moving: HeadRoles) -> None:
    evidence = moving.evidence(layer=1, head=0)
    assert evidence["induction"]["seeds"] == [0, 1]
    assert evidence["induction"]["periods"] == [8, 12]
    assert evidence["induction"]["bound"] == OPTIONS.bounds[Role.INDUCTION]
    assert evidence["name_mover"]["prompts"] == 12
    assert evidence["name_mover"]["attention"] == pytest.approx(1)
    assert all(found["definition"] for found in evidence.values())


def test_the_same_seeds_give_the_same_scores() -> None:
    model = hand_made([previous_token()], [induction()])
    first, second = measured(model), measured(model)
    for role, found in first.scores.items():
        np.testing.assert_array_equal(found.score, second.scores[role].score)
