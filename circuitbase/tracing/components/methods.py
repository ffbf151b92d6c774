"""The methods of contrastive attribution by name."""

from collections.abc import Callable

from circuitbase.tracing.components.attribution_options import AttributionOptions, Method
from circuitbase.tracing.components.clean_corrupted import clean_corrupted
from circuitbase.tracing.components.contrast import Contrast
from circuitbase.tracing.components.eap import eap
from circuitbase.tracing.components.eap_ig_activations import eap_ig_activations
from circuitbase.tracing.components.eap_ig_inputs import eap_ig_inputs
from circuitbase.tracing.components.exact import exact
from circuitbase.tracing.components.information_flow import information_flow
from circuitbase.tracing.components.method_result import Found

METHODS: dict[Method, Callable[[Contrast, AttributionOptions], Found]] = {
    "eap": eap,
    "eap-ig-inputs": eap_ig_inputs,
    "eap-ig-activations": eap_ig_activations,
    "clean-corrupted": clean_corrupted,
    "information-flow": information_flow,
    "exact": exact,
}
