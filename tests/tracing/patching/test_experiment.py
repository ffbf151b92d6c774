"""The suite as a whole: every method on pairs, however they are batched."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from circuitbase.errors import InputError
from circuitbase.tracing.patching.directions import Direction
from circuitbase.tracing.patching.experiment import PatchResult, patch
from circuitbase.tracing.patching.noise import Noise
from circuitbase.tracing.patching.patch_options import PatchOptions
from circuitbase.tracing.patching.patch_site import PatchSite
from tests.tracing.patching.gates import BOTH_ON, gate
from tests.tracing.patching.prepared import random_pairs, tiny_components

UNEVEN = random_pairs(3, lengths=(6, 4, 5))
METHODS: dict[str, dict[str, Any]] = {
    "heads": {"site": PatchSite.HEADS},
    "windows": {"site": PatchSite.PATTERNS, "window": 2, "directions": (Direction.DENOISING,)},
    "attribution": {"method": "attribution", "site": PatchSite.MLPS},
    "path": {"method": "path", "receivers": ("a1.h0<k>", "a1.h1<q>"), "senders": (("input",), ("a0.h0", "m0"))},
    "knockout": {"method": "knockout", "components": (("a0.h1", "m1"), ("m0",))},
    "kl": {"site": PatchSite.MLPS, "metric": "kl"},
}


@pytest.mark.parametrize("name", METHODS)
def test_batches_and_padding_change_nothing(name: str, tmp_path: Path) -> None:
    model = tiny_components(tmp_path, n_layers=2)
    one, many = (patch(model, UNEVEN, PatchOptions(batch_size=size, **METHODS[name])) for size in (1, 3))
    assert [subject.name for subject in one.subjects] == [subject.name for subject in many.subjects]
    for alone, together in zip(one.effects, many.effects, strict=True):
        np.testing.assert_allclose(alone.patched, together.patched, atol=1e-12)
        np.testing.assert_allclose(alone.clean, together.clean)
        assert alone.patched.shape == (len(one.subjects), 3)


def test_causal_tracing_restores_what_noise_took(tmp_path: Path) -> None:
    model = tiny_components(tmp_path, n_layers=2)
    options = PatchOptions(
        method="causal-tracing", site=PatchSite.RESIDUAL, each_position=True, noise=Noise(2.0, samples=4, seed=1)
    )
    found = patch(model, random_pairs(), options)
    (effects,) = found.effects
    assert effects.direction == Direction.DENOISING
    names = [subject.name for subject in found.subjects]
    assert names[:2] == ["r0<pre>@0", "r0<pre>@1"]
    np.testing.assert_allclose(effects.change[names.index("r0<pre>@0")], 0, atol=1e-12)  # no noise there
    assert np.abs(effects.change[names.index("r0<pre>@1")]).min() > 1e-4
    again = patch(model, random_pairs(), options).effects[0]
    assert np.array_equal(again.patched, effects.patched)


def test_path_patching_asks_every_source_that_is_read(tmp_path: Path) -> None:
    model = tiny_components(tmp_path, n_layers=2)
    found = patch(model, random_pairs(), PatchOptions(method="path", receivers=("a1.h0<q>",)))
    assert [subject.name for subject in found.subjects] == [
        f"{sender}->a1.h0<q>" for sender in ("input", "a0.h0", "a0.h1", "m0")
    ]
    assert [subject.components for subject in found.subjects] == [(), ((0, 0),), ((0, 1),), ((0, None),)]


def test_knockouts_take_their_mean_over_the_named_set(tmp_path: Path) -> None:
    model = gate("and")

    def found(prompts: list[tuple[int, ...]] | None) -> PatchResult:
        options = PatchOptions(method="knockout", site=PatchSite.MLPS, mean_by_position=True)
        return patch(model, [BOTH_ON], options, mean_over=prompts)

    assert found(None).effects[0].change == pytest.approx(0)  # the clean prompt itself
    half = found([(1, 1, 2), (0, 0, 2)]).effects[0].change
    assert half == pytest.approx(-2.5)


def test_shares_are_given_as_the_mean_of_ratios_and_as_the_ratio_of_means() -> None:
    from circuitbase.tracing.patching.effects import PatchEffects

    found = PatchEffects(
        clean=np.array([2.0, 10.0]),
        corrupted=np.array([1.0, 0.0]),
        patched=np.array([[2.0, 0.0], [1.0, 10.0]]),
        direction=Direction.NOISING,
    )
    assert found.shares.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert found.mean_of_ratios.tolist() == [0.5, 0.5]
    assert found.ratio_of_means == pytest.approx([0.5 / 5.5, 5 / 5.5])
    assert found.change.tolist() == [[0.0, -10.0], [-1.0, 0.0]]
    assert found.relative_change == pytest.approx([-5 / 5.5, -0.5 / 5.5])
    same = PatchEffects(np.ones(1), np.ones(1), np.ones((1, 1)), Direction.DENOISING)
    assert np.isnan(same.ratio_of_means).all() and np.isnan(same.shares).all()
    assert np.isnan(same.relative_change).all() and np.isnan(same.mean_of_ratios).all()


def test_options_without_use_for_a_method_are_refused() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"method": "path"}, "at least one receiver"),
        ({"receivers": ("m1",)}, "receivers does nothing for activation"),
        ({"method": "path", "receivers": ("m1",), "site": PatchSite.HEADS}, "site does nothing for path"),
        ({"noise": Noise(), "components": (("m1",),)}, "noise and components do nothing for activation"),
        ({"method": "knockout", "site": PatchSite.VALUES}, "heads and mlps can be knocked out, not values"),
        ({"method": "knockout", "site": PatchSite.MLPS, "components": (("m1",),)}, "both say what is knocked out"),
        ({"method": "causal-tracing", "directions": (Direction.NOISING,)}, "directions does nothing"),
        ({"method": "attribution", "metric": "kl"}, "flat at the clean run"),
        ({"batch_size": 0}, "must be at least 1, got 0"),
    ]
    for options, sentence in wrong:
        with pytest.raises(InputError, match=sentence):
            PatchOptions(**options)


def test_each_position_needs_pairs_of_one_length(tmp_path: Path) -> None:
    model = tiny_components(tmp_path, n_layers=1)
    with pytest.raises(InputError, match="pairs must have one length, got lengths 4, 5, 6"):
        patch(model, UNEVEN, PatchOptions(each_position=True))
