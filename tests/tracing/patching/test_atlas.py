"""The packaged model's induction heads, found by patching: which heads, and how they know where to look."""

import pytest

from circuitbase.demo.packaged import model_folder, packaged_folder
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.pair_file import read_pairs
from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.models import load_model
from circuitbase.tracing.patching.directions import Direction
from circuitbase.tracing.patching.experiment import PatchResult, patch
from circuitbase.tracing.patching.pair_checks import check_replacements
from circuitbase.tracing.patching.patch_options import PatchOptions

INDUCTION, PREVIOUS = ("a1.h0", "a1.h1", "a1.h2"), "a0.h3"


@pytest.fixture(scope="module")
def atlas() -> tuple[ComponentModel, list[Pair]]:
    model = load_model(model_folder())
    return component_model(model), read_pairs(packaged_folder() / "pairs" / "induction.json", model.tokenizer)


def shares(result: PatchResult, direction: Direction) -> dict[str, float]:
    (effects,) = (effects for effects in result.effects if effects.direction == direction)
    names = [subject.name.partition("->")[0] for subject in result.subjects]
    return dict(zip(names, effects.relative_change.tolist(), strict=True))


def test_four_heads_are_needed_and_each_restores_a_part(atlas: tuple[ComponentModel, list[Pair]]) -> None:
    found = patch(*atlas, PatchOptions())
    needed, sufficient = shares(found, Direction.NOISING), shares(found, Direction.DENOISING)
    for head in (*INDUCTION, PREVIOUS):
        assert needed[head] < -0.2
        assert sufficient[head] > 0.2
    others = set(needed) - {*INDUCTION, PREVIOUS, "a0.h2"}
    assert max(abs(each[head]) for each in (needed, sufficient) for head in others) < 0.02


def test_the_previous_token_head_reaches_the_induction_heads_by_their_keys(
    atlas: tuple[ComponentModel, list[Pair]],
) -> None:
    effect = {}
    for port in "qkv":
        receivers = tuple(f"{head}<{port}>" for head in INDUCTION)
        options = PatchOptions(method="path", directions=(Direction.NOISING,), receivers=receivers, recompute_mlps=True)
        effect[port] = shares(patch(*atlas, options), Direction.NOISING)[PREVIOUS]
    assert effect["k"] < -0.7  # K-composition, most of it through MLP 0
    assert max(abs(effect["q"]), abs(effect["v"])) < 0.02


def test_the_packaged_pairs_swap_tokens(atlas: tuple[ComponentModel, list[Pair]]) -> None:
    assert all(check.symmetric for check in check_replacements(atlas[1]))
    assert all(len(pair.clean) == len(atlas[1][0].clean) for pair in atlas[1])
