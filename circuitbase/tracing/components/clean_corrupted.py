"""Edge attribution patching with the mean of the gradients at the clean and at the corrupted prompt (Hanna et al.)."""

from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.contrast import Contrast
from circuitbase.tracing.components.method_result import Found
from circuitbase.tracing.components.receiver_gradients import receiver_gradients


def clean_corrupted(contrast: Contrast, options: AttributionOptions) -> Found:
    """Returns the scores by the mean of two gradients."""
    model, read_at = contrast.model, contrast.batch.read_at
    found = [
        receiver_gradients(model, stream, contrast.measure, read_at=read_at).products(contrast.difference)
        for stream in (contrast.embedding.stream, model.embedded(contrast.batch.corrupted).stream)
    ]
    return Found((found[0] + found[1]) / 2)
