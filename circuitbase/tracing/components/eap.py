"""Edge attribution patching: the first order of patching an edge, from the clean run's gradients.

The score of an edge u → v is `(z_u − z'_u) · ∂m/∂in_v` at the clean run, summed over positions: the derivative of
the metric in the edge's mask (Syed et al. 2023; methods of Nanda 2023).
"""

from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.contrast import Contrast
from circuitbase.tracing.components.method_result import Found
from circuitbase.tracing.components.receiver_gradients import receiver_gradients


def eap(contrast: Contrast, options: AttributionOptions) -> Found:
    """Returns the scores of edge attribution patching."""
    gradients = receiver_gradients(
        contrast.model, contrast.embedding.stream, contrast.measure, read_at=contrast.batch.read_at
    )
    return Found(gradients.products(contrast.difference))
