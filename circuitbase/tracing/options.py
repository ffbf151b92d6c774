"""What a user may ask of a trace. The library, the worker and the command line share these defaults."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from circuitbase.errors import InputError

TRACER_VERSION = 1

TargetKind = Literal["probable", "roles"]
DType = Literal["float32", "float64"]


@dataclass(frozen=True)
class RoleTarget:
    """An output by role: the logit of token `token` minus that of `minus` (None: minus the mean logit)."""

    role: str
    token: int
    minus: int | None = None


@dataclass(frozen=True)
class TraceOptions:
    """Options that change numbers, and so enter the trace's id.

    `target` is `probable` (the fewest most probable tokens, at most `max_outputs`, that cover
    `output_probability`) or `roles` (the role outputs that come with the prompt). Pruning keeps nodes
    up to `node_threshold` and edges up to `edge_threshold` of the influence (Ameisen et al. 2025);
    `prune=False` keeps everything.
    """

    target: TargetKind = "probable"
    max_outputs: int = 10
    output_probability: float = 0.95
    prune: bool = True
    node_threshold: float = 0.8
    edge_threshold: float = 0.98
    dtype: DType = "float32"

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be in (0, 1], got {value}"
            for name, value in (
                ("output_probability", self.output_probability),
                ("node_threshold", self.node_threshold),
                ("edge_threshold", self.edge_threshold),
            )
            if not 0 < value <= 1
        ]
        if self.max_outputs < 1:
            problems.append(f"max_outputs must be at least 1, got {self.max_outputs}")
        if self.target not in ("probable", "roles"):
            problems.append(f"target must be probable or roles, got {self.target}")
        if self.dtype not in ("float32", "float64"):
            problems.append(f"dtype must be float32 or float64, got {self.dtype}")
        if problems:
            raise InputError("; ".join(problems))

    def request(self, roles: tuple[RoleTarget, ...] = ()) -> dict[str, Any]:
        """Returns the target request that enters the configuration's id: no token ids in it."""
        if self.target == "roles":
            return {"kind": "roles", "roles": [role.role for role in roles]}
        return {
            "kind": "probable",
            "max_outputs": self.max_outputs,
            "output_probability": self.output_probability,
        }

    def numeric(self) -> dict[str, Any]:
        """Returns the options, other than target and dtype, that enter the configuration's id."""
        if not self.prune:
            return {"prune": False}
        return {"prune": True, "node_threshold": self.node_threshold, "edge_threshold": self.edge_threshold}

    def as_json(self) -> dict[str, Any]:
        """Returns the options as plain JSON values."""
        return asdict(self)
