import numpy as np
import pytest

from circuitbase.graph.false_discovery import discovery_rates


def test_rates_by_hand() -> None:
    assert discovery_rates(np.array([0.01, 0.04, 0.03, 0.5])) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    assert len(discovery_rates(np.zeros(0))) == 0


def test_of_discoveries_at_a_rate_about_that_share_is_false() -> None:
    random = np.random.default_rng(0)
    false, found = 0, 0
    for _ in range(200):
        p = np.concatenate([random.random(80), random.random(20) * 1e-4])  # the last twenty are true
        chosen = discovery_rates(p) <= 0.1
        false += int(chosen[:80].sum())
        found += int(chosen.sum())
    assert false / found == pytest.approx(0.08, abs=0.02)
