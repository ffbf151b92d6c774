"""One line of a prompt file: what it may hold, and everything that can be wrong with it.

A line has `prompt` or `tokens`, and optionally `answer`, `distractor`, `spans` (role -> [start, end)
in characters of the prompt), `labels` and `cluster`.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from circuitbase.schema.declaration import relationship

COLUMNS = ("prompt", "tokens", "answer", "distractor", "spans", "labels", "cluster")

Label = str | int | float | bool

_TAKEN_LABELS = frozenset(property.name for property in relationship("IN_SET").properties)
_LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True)
class PromptLine:
    """One good line; exactly one of `prompt` and `tokens` is given. `number` counts from 1."""

    number: int
    prompt: str | None = None
    tokens: tuple[int, ...] | None = None
    answer: str | None = None
    distractor: str | None = None
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    labels: Mapping[str, Label] = field(default_factory=dict)
    cluster: str | None = None


@dataclass(frozen=True)
class BadLine:
    """One line that cannot be used, and why."""

    number: int
    problem: str


def line_from(found: Mapping[str, Any], *, number: int) -> PromptLine | BadLine:
    """Returns the prompt that a line's columns describe, or everything that is wrong with them."""
    given = {name: value for name, value in found.items() if value is not None}
    problems = [f"the key {name!r} is unknown (known: {', '.join(COLUMNS)})" for name in given if name not in COLUMNS]
    problems += [*_subject_problems(given), *_answer_problems(given)]
    problems += [*_span_problems(given), *_label_problems(given)]
    if not problems and not _is_text(json.dumps(given, ensure_ascii=False)):
        problems.append("it holds half of a surrogate pair, which is no text")
    if problems:
        return BadLine(number, "; ".join(problems))
    tokens = given.get("tokens")
    return PromptLine(
        number=number,
        prompt=given.get("prompt"),
        tokens=None if tokens is None else tuple(tokens),
        answer=given.get("answer"),
        distractor=given.get("distractor"),
        spans={role: (start, end) for role, (start, end) in given.get("spans", {}).items()},
        labels=dict(given.get("labels", {})),
        cluster=given.get("cluster"),
    )


def _subject_problems(given: Mapping[str, Any]) -> Iterator[str]:
    if ("prompt" in given) == ("tokens" in given):
        found = "both" if "prompt" in given else "neither"
        yield f"a line must have either `prompt` or `tokens`, got {found}"
    if "prompt" in given and (not isinstance(given["prompt"], str) or not given["prompt"].strip()):
        yield f"`prompt` must be a text that is not empty, got {shown(given['prompt'])}"
    if "tokens" in given:
        tokens = given["tokens"]
        if not isinstance(tokens, list) or not tokens or not all(_is_integer(token) and token >= 0 for token in tokens):
            yield f"`tokens` must be a list of token ids that is not empty, got {shown(tokens)}"


def _answer_problems(given: Mapping[str, Any]) -> Iterator[str]:
    for name in ("answer", "distractor", "cluster"):
        if name in given and (not isinstance(given[name], str) or not given[name]):
            yield f"`{name}` must be a text that is not empty, got {shown(given[name])}"
    if "distractor" in given and "answer" not in given:
        yield "`distractor` needs an `answer` to be compared with"


def _span_problems(given: Mapping[str, Any]) -> Iterator[str]:
    spans = given.get("spans", {})
    if not isinstance(spans, dict):
        yield f"`spans` must map roles to [start, end], got {shown(spans)}"
        return
    if spans and "prompt" not in given:
        yield "`spans` count characters of `prompt`, which the line lacks"
        return
    length = len(given["prompt"]) if isinstance(given.get("prompt"), str) else 0
    for role, span in spans.items():
        if not role:
            yield "a role in `spans` must have a name"
        if not (isinstance(span, list | tuple) and len(span) == 2 and all(_is_integer(end) for end in span)):
            yield f"the span of {role!r} must be [start, end], got {shown(span)}"
        elif not 0 <= span[0] < span[1] <= length:
            yield f"the span of {role!r} must lie inside the prompt's {length} characters, got {shown(list(span))}"


def _label_problems(given: Mapping[str, Any]) -> Iterator[str]:
    labels = given.get("labels", {})
    if not isinstance(labels, dict):
        yield f"`labels` must map names to values, got {shown(labels)}"
        return
    for name, value in labels.items():
        if not name.isidentifier():
            yield f"the label {name!r} must be a name of letters, digits and underscores"
        elif name in _TAKEN_LABELS:
            yield f"the label {name!r} has a meaning of its own ({', '.join(sorted(_TAKEN_LABELS))}); rename it"
        if not isinstance(value, Label) or (isinstance(value, float) and not math.isfinite(value)):
            yield f"the label {name!r} must be a text, a finite number, true or false, got {shown(value)}"
        elif isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
            yield f"the label {name!r} must fit into 64 bits, got {value}"


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """Returns a value as JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace").decode()
    return text if len(text) <= 60 else text[:57] + "..."
