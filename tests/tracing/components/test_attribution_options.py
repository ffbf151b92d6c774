"""What may be asked of attribution: options without use are refused, defaults are the method's."""

from typing import Any

import pytest

from circuitbase.errors import InputError
from circuitbase.tracing.components.attribution_options import METHOD_NAMES, AttributionOptions
from circuitbase.tracing.components.methods import METHODS


def test_every_method_has_a_function() -> None:
    assert set(METHODS) == set(METHOD_NAMES)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"method": "eap", "steps": 4}, "steps does nothing for eap; leave it out"),
        ({"method": "exact", "rule": "left"}, "rule does nothing for exact; leave it out"),
        ({"method": "information-flow", "metric": "kl"}, "metric does nothing for information-flow"),
        ({"method": "information-flow", "ablation": "zero"}, "ablates nothing"),
        ({"method": "clean-corrupted", "ablation": "mean"}, "its ablation is patching"),
        ({"method": "eap", "metric": "kl"}, "flat at the clean run, so eap would give every edge 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_what_does_nothing_or_is_out_of_range_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        AttributionOptions(**given)


def test_what_is_left_out_is_the_methods_default() -> None:
    inputs, activations = AttributionOptions("eap-ig-inputs"), AttributionOptions("eap-ig-activations")
    assert (inputs.steps, inputs.rule, inputs.ablation, inputs.metric) == (20, "gauss", "patching", "logit-difference")
    assert (activations.steps, activations.rule) == (5, "right")
    flow = AttributionOptions("information-flow")
    assert (flow.steps, flow.rule, flow.ablation, flow.metric) == (None, None, None, None)
