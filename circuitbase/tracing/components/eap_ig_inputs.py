"""Edge attribution patching with gradients integrated from the ablated token embedding to the clean one.

Hanna et al. 2024 (EAP-IG). Only what the input writes moves along the path; everything else is recomputed. The
edges that leave the input are a cut on which the scores are complete: they sum to the metric's difference between
the ends of the path. No other cut is.
"""

import torch

from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.contrast import Contrast
from circuitbase.tracing.components.integration import nodes
from circuitbase.tracing.components.method_result import Found
from circuitbase.tracing.components.receiver_gradients import receiver_gradients
from circuitbase.tracing.components.running import run


def eap_ig_inputs(contrast: Contrast, options: AttributionOptions) -> Found:
    """Returns the scores by gradients averaged over the path, and by how much the input's edges miss the difference.

    The gap of a pair is the sum of its scores on edges from the input, less the metric's difference.
    """
    assert options.rule is not None and options.steps is not None
    model, read_at, embedding = contrast.model, contrast.batch.read_at, contrast.embedding
    difference = contrast.difference
    along = nodes(options.rule, options.steps)
    start = contrast.ablated.sources[:, :, 0] + embedding.constant
    scores = difference.new_zeros(())
    for place, weight in zip(along.places, along.weights, strict=True):
        stream = start + place * difference[:, :, 0]
        gradients = receiver_gradients(model, stream, contrast.measure, read_at=read_at)
        scores = scores + weight * gradients.products(difference)
    with torch.no_grad():
        ends = contrast.clean_metric() - contrast.measure(run(model, start, read_at=read_at))
    return Found(scores, gap=scores[:, 0].sum(-1) - ends)
