"""What a user may ask of a component trace. The library, the worker and the command line share these defaults."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from circuitbase.errors import InputError
from circuitbase.tracing.dtypes import DTYPE_NAMES, DType
from circuitbase.tracing.targets import AskedTarget, target_request

COMPONENT_TRACER_VERSION = 1

ComponentTarget = Literal["probable", "roles", "tokens", "directions"]
COMPONENT_TARGETS: tuple[ComponentTarget, ...] = ("probable", "roles", "tokens", "directions")
Positions = Literal["each", "summed"]
MOST_NEURONS = 10_000


@dataclass(frozen=True)
class ComponentOptions:
    """Options that change numbers, and so enter the trace's id.

    `target`, `max_outputs`, `output_probability`, `prune`, `node_threshold` and `edge_threshold` are those of a
    feature trace. While influence is propagated, a node below `tau` in |influence| goes no further, nor does one below
    `relative_tau` of the largest of its stage (the heads of a layer, or its MLP); of the edges into a node those
    stay that are not below `tau`, nor below `relative_tau` of the largest of them. `neurons` gives each MLP that many
    neurons as nodes of their own, the most influential, and `links` each attention layer that many attention
    links. `positions` keeps them apart or sums over them.
    """

    kind: ClassVar[str] = "components"
    tracer_version: ClassVar[int] = COMPONENT_TRACER_VERSION

    target: ComponentTarget = "probable"
    max_outputs: int = 10
    output_probability: float = 0.95
    prune: bool = True
    node_threshold: float = 0.8
    edge_threshold: float = 0.98
    dtype: DType = "float32"
    tau: float = 0.0
    relative_tau: float = 0.0
    neurons: int = 0
    links: int = 0
    positions: Positions = "each"

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
        if not 0 <= self.tau < float("inf"):
            problems.append(f"tau must be at least 0, got {self.tau}")
        if not 0 <= self.relative_tau < 1:
            problems.append(f"relative_tau must be at least 0 and below 1, got {self.relative_tau}")
        for name, value in (("neurons", self.neurons), ("links", self.links)):
            if not 0 <= value <= MOST_NEURONS:
                problems.append(f"{name} must be how many to take of each layer, 0 to {MOST_NEURONS}, got {value}")
        problems += [
            f"{name} must be one of {', '.join(known)}, got {word}"
            for name, word, known in (
                ("target", self.target, COMPONENT_TARGETS),
                ("dtype", self.dtype, DTYPE_NAMES),
                ("positions", self.positions, ("each", "summed")),
            )
            if word not in known
        ]
        if problems:
            raise InputError("; ".join(problems))

    @property
    def loses_mass(self) -> bool:
        """Returns whether edges are left out before pruning."""
        return self.tau > 0 or self.relative_tau > 0

    def request(self, targets: tuple[AskedTarget, ...] = ()) -> dict[str, Any]:
        """Returns the target request that enters the configuration's id: nothing of one prompt in it."""
        return target_request(
            self.target, targets, max_outputs=self.max_outputs, output_probability=self.output_probability
        )

    def numeric(self) -> dict[str, Any]:
        """Returns the options, other than target and dtype, that enter the configuration's id."""
        found: dict[str, Any] = {"prune": self.prune}
        if self.prune:
            found |= {"node_threshold": self.node_threshold, "edge_threshold": self.edge_threshold}
        for name in ("tau", "relative_tau", "neurons", "links", "positions"):
            value = getattr(self, name)
            if value != getattr(ComponentOptions, name):
                found[name] = value
        return found

    def as_json(self) -> dict[str, Any]:
        """Returns the options as plain JSON values."""
        return asdict(self)
