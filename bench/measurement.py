"""One measured number beside what it is compared with and what it should reach."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Measurement:
    """`baseline` is the bare statement's number in the same run, None without one; `goal` None: only told."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    goal: float | None = None
    better: Literal["higher", "lower"] = "higher"

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.better == "higher" else self.value <= self.goal


def table(measurements: Sequence[Measurement]) -> str:
    """Returns the measurements as lines to read."""
    lines = [f"{'':<58}{'value':>12}  {'unit':<10}{'baseline':>12}{'goal':>12}"]
    for found in measurements:
        goal = "" if found.goal is None else f"{'≥' if found.better == 'higher' else '≤'} {found.goal:,.4g}"
        baseline = "" if found.baseline is None else f"{found.baseline:,.4g}"
        verdict = {None: "", True: "  reached", False: "  MISSED"}[found.reached]
        lines.append(f"{found.name:<58}{_number(found.value):>12}  {found.unit:<10}{baseline:>12}{goal:>12}{verdict}")
    return "\n".join(lines)


def write_json(measurements: Sequence[Measurement], path: Path) -> None:
    """Writes the measurements that have a goal, as a list of objects."""
    rows = [asdict(found) for found in measurements if found.goal is not None]
    path.write_text(json.dumps(rows, indent=2) + "\n")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
