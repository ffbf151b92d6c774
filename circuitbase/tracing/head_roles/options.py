"""What the scores of head roles depend on beside the model and the prompts, with the defaults. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from circuitbase.errors import InputError
from circuitbase.tracing.head_roles.roles import BOUNDS, Role

SHORTEST_PERIOD = 3  # at 2 the position behind a token's first occurrence is the one before its second


@dataclass(frozen=True)
class HeadRoleOptions:
    """How heads are measured. Raises InputError for numbers with which a score would mean nothing.

    On random tokens: `periods` of the repeated ones, and for each period and seed that many `sequences`; the
    positional score takes as many sequences for each seed and their `length`. Of the OV circuit: the largest
    number of `tokens` of the vocabulary that it is measured on, and whether later layers than the first read
    tokens `through_first_mlp`. `smallest_change` of the name movers' attention below which S-inhibition is not
    measured. A head has a role where its score is above its bound.
    """

    periods: tuple[int, ...] = (4, 6, 9, 12)
    sequences: int = 16
    length: int = 16
    seeds: tuple[int, ...] = (0, 1, 2)
    tokens: int = 10_000
    through_first_mlp: bool = True
    smallest_change: float = 0.05
    bounds: Mapping[Role, float] = field(default_factory=lambda: dict(BOUNDS))

    def __post_init__(self) -> None:
        if not self.periods or min(self.periods) < SHORTEST_PERIOD:
            raise InputError(
                f"periods of repeated tokens must be {SHORTEST_PERIOD} or more, got {list(self.periods)}; at shorter "
                "ones a previous-token head and an induction head look at the same position"
            )
        if not self.seeds or self.sequences < 1 or self.sequences * len(self.seeds) < 2:
            raise InputError(
                f"scores on random tokens need at least two sequences in all, got {self.sequences} for each of "
                f"{len(self.seeds)} seeds; give more"
            )
        if self.length < 2:
            raise InputError(f"random prompts must have at least 2 tokens, got {self.length}; give a larger length")
        if self.tokens < 2:
            raise InputError(f"the OV circuit is measured on at least 2 tokens, got {self.tokens}; give more")
        missing = [role.value for role in Role if role not in self.bounds]
        if missing:
            raise InputError(f"every role needs a bound, and there is none for {', '.join(missing)}; give one")

    @property
    def longest(self) -> int:
        """Returns the number of tokens of the longest random sequence."""
        return max(2 * max(self.periods), self.length)
