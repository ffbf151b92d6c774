"""The noise of causal tracing."""

from dataclasses import dataclass

from circuitbase.errors import InputError


@dataclass(frozen=True)
class Noise:
    """Gaussian noise of `scale` standard deviations of the embedding's entries, drawn `samples` times from `seed`."""

    scale: float = 3.0
    samples: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or not self.scale > 0:
            raise InputError(
                "causal tracing needs noise of a positive scale and at least one sample, "
                f"got scale {self.scale} and {self.samples} samples"
            )
