"""What each supported architecture is like, as far as no weights are needed to say it.

`parts` says, for the same architectures, where a loaded model's parts are.
"""

from dataclasses import dataclass
from typing import Literal

from circuitbase.errors import ModelError


@dataclass(frozen=True)
class Architecture:
    """One architecture, by the name in a config.json's `architectures`."""

    name: str
    norm: Literal["layer", "rms"]


ARCHITECTURES = {each.name: each for each in (Architecture(name="GPT2LMHeadModel", norm="layer"),)}


def architecture(name: str) -> Architecture:
    """Returns a supported architecture; raises ModelError that lists them for another."""
    if name not in ARCHITECTURES:
        raise ModelError(
            f"the architecture must be one of {', '.join(ARCHITECTURES)}, got {name}; another one needs an entry in "
            "circuitbase/tracing/architectures.py and an adapter in circuitbase/tracing/parts.py"
        )
    return ARCHITECTURES[name]
