"""What a user may ask of the patching suite. The library and the command line share these defaults."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from circuitbase.errors import InputError
from circuitbase.tracing.components.attribution_options import MetricFunction, MetricName
from circuitbase.tracing.patching.directions import Direction
from circuitbase.tracing.patching.noise import Noise
from circuitbase.tracing.patching.patch_site import PatchSite

PatchMethod = Literal["activation", "attribution", "path", "causal-tracing", "knockout"]
PATCH_METHODS: tuple[PatchMethod, ...] = get_args(PatchMethod)
BOTH = (Direction.NOISING, Direction.DENOISING)
Group = tuple[str, ...]

_OF_SITES: tuple[PatchMethod, ...] = ("activation", "attribution", "causal-tracing")
_USED_BY: dict[str, tuple[PatchMethod, ...]] = {
    "site": (*_OF_SITES, "knockout"),
    "directions": ("activation", "attribution", "path"),
    "window": _OF_SITES,
    "each_position": _OF_SITES,
    "senders": ("path",),
    "receivers": ("path",),
    "recompute_mlps": ("path",),
    "noise": ("causal-tracing",),
    "noise_positions": ("causal-tracing",),
    "components": ("knockout",),
    "mean_by_position": ("knockout",),
}


@dataclass(frozen=True)
class PatchOptions:
    """Options that change the numbers, and `batch_size` and `rows`, which do not.

    What is left None gets the method's default and is refused where the method has no use for it. A group of
    senders or components is changed at once; without any, each is changed alone: all sources that a receiver reads,
    all heads or MLPs. `noise_positions` are token positions, negative ones from the end; without any, noise is put
    where clean and corrupted prompts differ.
    """

    method: PatchMethod = "activation"
    site: PatchSite | None = None
    directions: tuple[Direction, ...] | None = None
    window: int | None = None
    each_position: bool | None = None
    senders: tuple[Group, ...] | None = None
    receivers: Group | None = None
    recompute_mlps: bool | None = None
    noise: Noise | None = None
    noise_positions: tuple[int, ...] | None = None
    components: tuple[Group, ...] | None = None
    mean_by_position: bool | None = None
    metric: MetricName | MetricFunction = "logit-difference"
    batch_size: int = 32
    rows: int = field(default=256, repr=False)

    def __post_init__(self) -> None:
        if self.method not in PATCH_METHODS:
            raise InputError(f"the method must be one of {', '.join(PATCH_METHODS)}, got {self.method}")
        useless = [
            name for name, methods in _USED_BY.items() if getattr(self, name) is not None and self.method not in methods
        ]
        if useless:
            raise InputError(f"{' and '.join(useless)} {_do(useless)} nothing for {self.method}; leave out")
        if self.method == "path" and not self.receivers:
            raise InputError("path patching needs at least one receiver, such as a2.h0<q> or logits; name some")
        if self.method == "knockout" and self.site not in (None, PatchSite.HEADS, PatchSite.MLPS):
            raise InputError(f"heads and mlps can be knocked out, not {self.site}; name one of the two")
        if self.site is not None and self.components is not None:
            raise InputError("a site and components both say what is knocked out; leave out one")
        if self.method == "attribution" and self.metric == "kl" and self.directions != (Direction.DENOISING,):
            raise InputError(
                "the divergence from the clean run is flat at the clean run, so the first order of noising would be 0 "
                "everywhere; take the direction denoising alone, or activation"
            )
        if self.batch_size < 1 or self.rows < 1:
            raise InputError(f"batch_size and rows must be at least 1, got {self.batch_size} and {self.rows}")
        defaults: dict[str, Any] = {
            "site": None if self.components is not None else PatchSite.HEADS,
            "directions": BOTH,
            "window": 1,
            "each_position": False,
            "recompute_mlps": False,
            "noise": Noise(),
            "mean_by_position": False,
        }
        for name, value in defaults.items():
            if getattr(self, name) is None and self.method in _USED_BY[name]:
                object.__setattr__(self, name, value)


def _do(names: list[str]) -> str:
    return "does" if len(names) == 1 else "do"
