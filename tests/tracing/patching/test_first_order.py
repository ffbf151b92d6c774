"""Attribution patching is the derivative of activation patching."""

from pathlib import Path

import pytest
import torch

from circuitbase.tracing.patching.activation_patching import metrics_with
from circuitbase.tracing.patching.directions import Direction
from circuitbase.tracing.patching.first_order import attributed_metrics
from circuitbase.tracing.patching.paired import ends
from circuitbase.tracing.patching.patch_site import PatchSite
from circuitbase.tracing.patching.places import places
from circuitbase.tracing.patching.seen_run import seen_run
from tests.tracing.patching.prepared import ARCHITECTURES, prepared, random_pairs, tiny_components

STEP = 1e-4


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_first_order_is_the_derivative_by_finite_difference(architecture: str, tmp_path: Path) -> None:
    model = tiny_components(tmp_path, architecture, n_layers=2)
    pairs = prepared(model, random_pairs(2))
    sites = [site for site in PatchSite if not (model.parallel and site == PatchSite.RESIDUAL_MID)]
    chosen = [
        place
        for site in sites
        for place in (*places(model, site, positions=(3,)), *places(model, site), *places(model, site, window=2))
    ]
    for direction in Direction:
        base, other = (
            seen_run(model, each.stream, sites={place.at for place in chosen}, read_at=pairs.read_at)
            for each in (pairs.base(direction), pairs.other(direction))
        )
        moved = [
            metrics_with(
                model,
                pairs,
                [[place] for place in chosen if place.layers == 1],
                into=pairs.base(direction),
                values={at: value + step * (other.values[at] - value) for at, value in base.values.items()},
            )
            for step in (STEP, -STEP)
        ]
        found = ends(model, pairs)
        unpatched = found.clean if direction == Direction.NOISING else found.corrupted
        change = attributed_metrics(model, pairs, chosen, direction=direction) - unpatched
        single = [number for number, place in enumerate(chosen) if place.layers == 1]
        torch.testing.assert_close(change[single], (moved[0] - moved[1]) / (2 * STEP), rtol=1e-5, atol=1e-7)
        for number, place in enumerate(chosen):
            if place.layers == 2:  # the sum of its layers
                parts = [n for n, p in enumerate(chosen) if (p.site, p.layers, p.position) == (place.site, 1, None)]
                torch.testing.assert_close(change[number], change[parts].sum(0))
