"""Activation patching: what must hold in any model."""

from pathlib import Path

import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.patching.activation_patching import patched_metrics
from circuitbase.tracing.patching.directions import Direction
from circuitbase.tracing.patching.paired import ends
from circuitbase.tracing.patching.patch_site import PatchSite
from circuitbase.tracing.patching.places import Place, places
from tests.tracing.patching.gates import BOTH_ON, gate
from tests.tracing.patching.prepared import ARCHITECTURES, prepared, random_pairs, tiny_components


def everything(model: ComponentModel) -> list[Place]:
    """Returns the stream before block 0 and what every head and MLP makes."""
    sites = (PatchSite.HEADS, PatchSite.MLPS)
    return [Place(PatchSite.RESIDUAL, 0), *(place for site in sites for place in places(model, site))]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_patching_everything_is_the_other_run(architecture: str, tmp_path: Path) -> None:
    model = tiny_components(tmp_path, architecture)
    pairs = prepared(model, random_pairs())
    found, patches = ends(model, pairs), [everything(model)]
    assert (found.clean - found.corrupted).abs().min() > 1e-3
    noised = patched_metrics(model, pairs, patches, direction=Direction.NOISING)
    restored = patched_metrics(model, pairs, patches, direction=Direction.DENOISING)
    torch.testing.assert_close(noised[0], found.corrupted)
    torch.testing.assert_close(restored[0], found.clean)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_residual_stream_at_all_positions_carries_the_full_effect(architecture: str, tmp_path: Path) -> None:
    model = tiny_components(tmp_path, architecture)
    pairs = prepared(model, random_pairs())
    found = ends(model, pairs)
    sites = [PatchSite.RESIDUAL, PatchSite.RESIDUAL_POST] + [PatchSite.RESIDUAL_MID] * (not model.parallel)
    patches = [[place] for site in sites for place in places(model, site)]
    restored = patched_metrics(model, pairs, patches, direction=Direction.DENOISING)
    torch.testing.assert_close(restored, found.clean.expand_as(restored))
    noised = patched_metrics(model, pairs, patches, direction=Direction.NOISING)
    torch.testing.assert_close(noised, found.corrupted.expand_as(noised))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_queries_with_keys_are_the_pattern_and_with_values_the_head(architecture: str, tmp_path: Path) -> None:
    model = tiny_components(tmp_path, architecture)
    pairs = prepared(model, random_pairs())
    queries, keys, values, pattern, head = (
        Place(site, 1, head=1)
        for site in (PatchSite.QUERIES, PatchSite.KEYS, PatchSite.VALUES, PatchSite.PATTERNS, PatchSite.HEADS)
    )
    found = patched_metrics(
        model, pairs, [[queries, keys], [pattern], [pattern, values], [head]], direction=Direction.NOISING
    )
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[2], found[3])


def test_positions_patched_at_once_are_all_positions(tmp_path: Path) -> None:
    model = tiny_components(tmp_path)
    pairs = prepared(model, random_pairs())
    for site in PatchSite:
        one_by_one = [Place(site, 1, head=0 if site.by_head else None, position=position) for position in range(6)]
        whole = Place(site, 1, head=0 if site.by_head else None)
        found = patched_metrics(model, pairs, [one_by_one, [whole]], direction=Direction.DENOISING)
        torch.testing.assert_close(found[0], found[1])


def test_a_window_of_one_layer_is_that_layer_and_a_longer_one_its_layers_at_once(tmp_path: Path) -> None:
    model = tiny_components(tmp_path)
    pairs = prepared(model, random_pairs())
    single = places(model, PatchSite.MLPS)
    assert places(model, PatchSite.MLPS, window=1) == single
    windows = places(model, PatchSite.MLPS, window=2)
    assert [place.name for place in windows] == ["m0-1", "m1-2"]
    found = patched_metrics(
        model, pairs, [[windows[0]], list(single[:2]), [windows[1]], list(single[1:])], direction=Direction.NOISING
    )
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[2], found[3])


def test_how_many_rows_go_through_at_once_changes_nothing(tmp_path: Path) -> None:
    model = tiny_components(tmp_path)
    pairs = prepared(model, random_pairs())
    patches = [[place] for place in places(model, PatchSite.HEADS, positions=range(6))]
    one, many = (patched_metrics(model, pairs, patches, direction=Direction.NOISING, rows=rows) for rows in (1, 1000))
    torch.testing.assert_close(one, many)


def test_noising_and_denoising_answer_or_and_and_oppositely() -> None:
    patches = [[place] for place in places(gate("or"), PatchSite.HEADS)]
    said = {
        (kind, direction): [
            round(float(value), 6)
            for value in patched_metrics(
                gate(kind), prepared(gate(kind), [BOTH_ON]), patches, direction=direction
            ).flatten()
        ]
        for kind in ("or", "and")
        for direction in Direction
    }
    assert said["or", Direction.NOISING] == [5.0, 5.0]  # neither head is needed
    assert said["or", Direction.DENOISING] == [5.0, 5.0]  # either suffices
    assert said["and", Direction.NOISING] == [0.0, 0.0]  # both are needed
    assert said["and", Direction.DENOISING] == [0.0, 0.0]  # neither suffices


def test_windows_and_sites_that_the_model_lacks_are_refused(tmp_path: Path) -> None:
    model = tiny_components(tmp_path, "GPTNeoXForCausalLM")
    with pytest.raises(InputError, match="the window must be 1 to 3, the layers of the model, got 4"):
        places(model, PatchSite.MLPS, window=4)
    with pytest.raises(InputError, match="there is no residual-mid"):
        places(model, PatchSite.RESIDUAL_MID)


def test_places_have_names() -> None:
    named = {
        "a1.h0": Place(PatchSite.HEADS, 1, head=0),
        "m2@5": Place(PatchSite.MLPS, 2, position=5),
        "r2-4<pre>": Place(PatchSite.RESIDUAL, 2, layers=3),
        "r0<mid>": Place(PatchSite.RESIDUAL_MID, 0),
        "a0.h3<q>@1": Place(PatchSite.QUERIES, 0, head=3, position=1),
        "a0-1<pattern>": Place(PatchSite.PATTERNS, 0, layers=2),
    }
    assert [place.name for place in named.values()] == list(named)
    assert {site.kind for site in PatchSite} == {"head", "mlp", "residual", "query", "key", "value", "pattern"}
