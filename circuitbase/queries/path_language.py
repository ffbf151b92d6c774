"""Paths as people write them, `L01/F00012 -> * -> answer`, parsed into steps.

A step is a unit's name or id, or `*` for any one unit; a head may say which input an edge enters, as `L01/head/2<q>`.
"""

import re
from dataclasses import dataclass

from circuitbase.errors import InputError

ARROW = "->"
ANY = "*"
FEWEST, MOST = 2, 4

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_PORT = re.compile(r"(?P<unit>.*\S)\s*<(?P<port>[qkv])>", re.DOTALL)
_EXAMPLE = 'such as `L01/F00012 -> * -> answer` or `in "Dover" -> L03/F00123`'


@dataclass(frozen=True)
class PathStep:
    """One unit of a path, None for any; `port` is q, k or v where the edge into it must enter there."""

    unit: str | None
    port: str | None = None


def parsed_path(text: str) -> tuple[PathStep, ...]:
    """Returns the steps of a path; raises InputError for a text that is none, or one without any named unit."""
    parts = _parts(text)
    if not FEWEST <= len(parts) <= MOST:
        raise InputError(
            f"a path has {FEWEST} to {MOST} units with {ARROW} between them, {_EXAMPLE}, got {len(parts)} in {text!r}; "
            "for one unit alone see `circuitbase query unit-prompts`"
        )
    if not all(parts):
        raise InputError(f"a path has a unit on either side of every {ARROW}, {_EXAMPLE}, got {text!r}")
    steps = tuple(_step(part) for part in parts)
    if all(step.unit is None for step in steps):
        raise InputError(f"a path names at least one unit, {_EXAMPLE}, got {text!r}, which every trace realises")
    if steps[0].port:
        raise InputError(f"the first unit of a path has no edge into it, so its input says nothing, got {parts[0]!r}")
    return steps


def _parts(text: str) -> list[str]:
    """Returns what stands between arrows that are not in a quoted token."""
    hidden = _QUOTED.sub(lambda found: "\0" * len(found[0]), text)
    if '"' in hidden:
        raise InputError(f'a token is quoted on both sides, as in " Paris", got {text!r}')
    parts, start = [], 0
    while (arrow := hidden.find(ARROW, start)) >= 0:
        parts.append(text[start:arrow].strip())
        start = arrow + len(ARROW)
    return [*parts, text[start:].strip()]


def _step(part: str) -> PathStep:
    found = _PORT.fullmatch(part)
    unit, port = (found["unit"], found["port"]) if found else (part, None)
    return PathStep(unit=None if unit == ANY else unit, port=port)
