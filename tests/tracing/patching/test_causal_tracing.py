"""Causal tracing: noise that a seed fixes, and a full restoration that undoes it."""

from pathlib import Path

import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.tracing.components.batches import pair_batches
from circuitbase.tracing.patching.activation_patching import patched_metrics
from circuitbase.tracing.patching.causal_tracing import embedding_deviation, mean_of_samples, noised_pairs
from circuitbase.tracing.patching.directions import Direction
from circuitbase.tracing.patching.noise import Noise
from circuitbase.tracing.patching.noise_positions import noise_mask
from circuitbase.tracing.patching.paired import ends
from circuitbase.tracing.patching.patch_site import PatchSite
from circuitbase.tracing.patching.places import Place, places
from tests.tracing.patching.prepared import prepared, random_pairs, tiny_components

NOISE = Noise(scale=2.0, samples=3, seed=4)


def test_restoring_the_whole_stream_restores_the_clean_run(tmp_path: Path) -> None:
    model = tiny_components(tmp_path)
    pairs = prepared(model, random_pairs())
    mask = torch.zeros(3, 6, dtype=torch.bool)
    mask[:, 2] = True
    noised = noised_pairs(pairs, mask, noise=NOISE)
    patches = [[place] for place in places(model, PatchSite.RESIDUAL_POST)]
    restored = patched_metrics(model, noised, patches, direction=Direction.DENOISING)
    clean = ends(model, pairs).clean
    torch.testing.assert_close(mean_of_samples(restored, samples=3), clean.expand(3, 3))
    with_noise = ends(model, noised).corrupted
    assert (mean_of_samples(with_noise, samples=3) - clean).abs().min() > 1e-3
    # only the position with noise needs restoring before the first block
    one = patched_metrics(model, noised, [[Place(PatchSite.RESIDUAL, 0, position=2)]], direction=Direction.DENOISING)
    torch.testing.assert_close(mean_of_samples(one, samples=3)[0], clean)


def test_noise_is_of_the_embeddings_size_on_the_named_positions_and_the_same_for_a_seed(tmp_path: Path) -> None:
    model = tiny_components(tmp_path)
    pairs = prepared(model, random_pairs())
    mask = torch.zeros(3, 6, dtype=torch.bool)
    mask[0, 1] = mask[1, 2] = mask[2, 3] = True
    first, again, other = (
        noised_pairs(pairs, mask, noise=Noise(scale=2.0, samples=200, seed=seed)) for seed in (0, 0, 1)
    )
    added = first.corrupted.tokens - first.clean.tokens
    assert torch.equal(first.corrupted.tokens, again.corrupted.tokens)
    assert not torch.equal(first.corrupted.tokens, other.corrupted.tokens)
    assert torch.equal(added.abs().sum(-1) > 0, mask.repeat(200, 1))
    deviation = embedding_deviation(pairs.clean, pairs.read_at)
    assert added[mask.repeat(200, 1)].std().item() == pytest.approx(2 * deviation, rel=0.05)


def test_noise_is_put_where_prompts_differ_or_where_it_is_asked_for(tmp_path: Path) -> None:
    model = tiny_components(tmp_path)
    pairs = random_pairs(2, lengths=(6, 4))
    (batch,) = pair_batches(pairs, batch_size=2, causal=model.causal, device=model.W_U.device)
    assert noise_mask(batch, None).nonzero().tolist() == [[0, 1], [0, 3], [1, 1], [1, 3]]
    assert noise_mask(batch, [0, -1]).nonzero().tolist() == [[0, 0], [0, 3], [1, 0], [1, 5]]  # the shorter one first
    with pytest.raises(InputError, match="noise is asked for at position 4, but pair 1 has 4 tokens"):
        noise_mask(batch, [4])
    with pytest.raises(InputError, match="in every prompt, and pair 1 has none"):
        mask = torch.zeros(3, 6, dtype=torch.bool)
        mask[0, 0] = mask[2, 0] = True
        noised_pairs(prepared(model, random_pairs()), mask, noise=NOISE)
    with pytest.raises(InputError, match=r"a positive scale and at least one sample, got scale 0.0 and 2 samples"):
        Noise(scale=0.0, samples=2)
