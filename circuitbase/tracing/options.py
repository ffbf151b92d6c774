"""What a user may ask of a trace. The library, the worker and the command line share these defaults."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from circuitbase.errors import InputError
from circuitbase.tracing.dtypes import DTYPE_NAMES, DType
from circuitbase.tracing.targets import AskedTarget, RoleTarget, target_request

__all__ = ["DTYPE_NAMES", "TRACER_VERSION", "DType", "RoleTarget", "TargetKind", "TraceOptions"]

TRACER_VERSION = 2

TargetKind = Literal["probable", "roles", "tokens", "features", "directions"]
TARGET_KINDS: tuple[TargetKind, ...] = ("probable", "roles", "tokens", "features", "directions")


@dataclass(frozen=True)
class TraceOptions:
    """Options that change numbers, and so enter the trace's id.

    `target` is `probable` (the fewest most probable tokens, at most `max_outputs`, that cover
    `output_probability`) or what is given with the prompt: `roles`, `tokens`, `features`,
    `directions`. Pruning keeps nodes up to `node_threshold` and edges up to `edge_threshold` of the
    influence (Ameisen et al. 2025); `prune=False` keeps everything.

    `max_features` traces that many features, the most influential first, and no others. With
    `keep_mass` below 1 each target keeps its largest edges up to that share of its absolute input.
    `silent` names (layer, feature) pairs that get their in-edges also where they do not fire.
    `heads` splits each kept edge by the last attention head on its paths. `tf32` allows a GPU to
    multiply in that format.

    `explain_attention` names heads as (layer, head, query position; negative ones from the end): of each, the
    `explain_keys` keys with the most attention become attention links, with the `explain_pairs` strongest pairs of
    trace nodes that make their scores.
    """

    kind: ClassVar[str] = "features"
    tracer_version: ClassVar[int] = TRACER_VERSION

    target: TargetKind = "probable"
    max_outputs: int = 10
    output_probability: float = 0.95
    prune: bool = True
    node_threshold: float = 0.8
    edge_threshold: float = 0.98
    dtype: DType = "float32"
    max_features: int | None = None
    keep_mass: float = 1.0
    silent: tuple[tuple[int, int], ...] = ()
    heads: bool = False
    tf32: bool = False
    explain_attention: tuple[tuple[int, int, int], ...] = ()
    explain_keys: int = 3
    explain_pairs: int = 64

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be in (0, 1], got {value}"
            for name, value in (
                ("output_probability", self.output_probability),
                ("node_threshold", self.node_threshold),
                ("edge_threshold", self.edge_threshold),
                ("keep_mass", self.keep_mass),
            )
            if not 0 < value <= 1
        ]
        if self.max_outputs < 1:
            problems.append(f"max_outputs must be at least 1, got {self.max_outputs}")
        if self.max_features is not None and self.max_features < 1:
            problems.append(f"max_features must be at least 1, got {self.max_features}")
        for name in ("explain_keys", "explain_pairs"):
            if getattr(self, name) < 1:
                problems.append(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.target not in TARGET_KINDS:
            problems.append(f"target must be one of {', '.join(TARGET_KINDS)}, got {self.target}")
        if self.dtype not in DTYPE_NAMES:
            problems.append(f"dtype must be one of {', '.join(DTYPE_NAMES)}, got {self.dtype}")
        if problems:
            raise InputError("; ".join(problems))
        # a list from JSON or in another order asks for the same trace
        object.__setattr__(self, "silent", tuple(sorted({(layer, feature) for layer, feature in self.silent})))
        heads = {(layer, head, query) for layer, head, query in self.explain_attention}
        object.__setattr__(self, "explain_attention", tuple(sorted(heads)))

    @property
    def loses_mass(self) -> bool:
        """Returns whether edges are left out before pruning."""
        return self.keep_mass < 1

    def request(self, targets: tuple[AskedTarget, ...] = ()) -> dict[str, Any]:
        """Returns the target request that enters the configuration's id: nothing of one prompt in it."""
        return target_request(
            self.target, targets, max_outputs=self.max_outputs, output_probability=self.output_probability
        )

    def numeric(self) -> dict[str, Any]:
        """Returns the options, other than target and dtype, that enter the configuration's id.

        Those that were left alone are not listed, so that a new one renames no earlier trace.
        """
        found: dict[str, Any] = {"prune": self.prune}
        if self.prune:
            found |= {"node_threshold": self.node_threshold, "edge_threshold": self.edge_threshold}
        for name in ("max_features", "keep_mass", "silent", "heads", "tf32"):
            value = getattr(self, name)
            if value != getattr(TraceOptions, name):
                found[name] = [list(pair) for pair in value] if name == "silent" else value
        if self.explain_attention:
            found |= {
                "explain_attention": [list(head) for head in self.explain_attention],
                "explain_keys": self.explain_keys,
                "explain_pairs": self.explain_pairs,
            }
        return found

    def as_json(self) -> dict[str, Any]:
        """Returns the options as plain JSON values."""
        return asdict(self)
