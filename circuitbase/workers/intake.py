"""Prompt lines read, tokenised and checked, kept in a temporary file until all of them are known.

Nothing may be queued while a later line can still be bad, and a hundred thousand prompts should
neither be held in memory nor be tokenised twice, so what is good waits on disk.
"""

import hashlib
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Literal

from circuitbase.errors import InputError
from circuitbase.graph.trace import TracedPrompt
from circuitbase.store.prompt_line import BadLine, PromptLine
from circuitbase.tracing.options import TargetKind
from circuitbase.workers.prepared_prompt import PreparedPrompt, prepare

if TYPE_CHECKING:
    from circuitbase.tracing.tokenizing import PromptTokenizer

AskedTarget = Literal["auto", "probable", "roles"]

DIGEST_BYTES = 16  # held for every prompt, and long enough to tell any two of them apart


@dataclass
class Intake:
    """What the lines held. `bad` has (line number, problem); `repeated` lines equal an earlier one."""

    file: IO[bytes]
    bad: list[tuple[int, str]] = field(default_factory=list)
    good: int = 0
    repeated: int = 0
    tokens: int = 0
    with_answer: int = 0
    with_distractor: int = 0
    without_role: int = 0
    size: int = 0
    """Bytes in the file."""

    def prompts(self, target: TargetKind) -> Iterator[PreparedPrompt]:
        """Yields the good prompts that can end in the target, in the order of their lines."""
        return (prompt for prompt in self._all() if target == "probable" or prompt.roles)

    def bad_for(self, target: TargetKind) -> list[tuple[int, str]]:
        """Returns the lines that cannot be traced to the target, with what is wrong."""
        if target != "roles" or not self.without_role:
            return sorted(self.bad)
        lacking = (
            (prompt.line.number, prompt.role_problem or "it has no `answer`, which the target `roles` needs")
            for prompt in self._all()
            if not prompt.roles
        )
        return sorted([*self.bad, *lacking])

    def add(self, prompt: PreparedPrompt) -> int:
        """Keeps a good prompt; returns its place in the file."""
        place = self.size
        self.size += self.file.write(prompt.to_json().encode("ascii") + b"\n")
        self.good += 1
        self.tokens += len(prompt.prompt.token_ids)
        self.with_answer += prompt.line.answer is not None
        self.with_distractor += prompt.line.distractor is not None
        self.without_role += not prompt.roles
        return place

    def at(self, place: int) -> PreparedPrompt:
        """Returns the prompt that was kept at a place of the file."""
        self.file.seek(place)
        found = PreparedPrompt.from_json(self.file.readline().decode("ascii"))
        self.file.seek(self.size)
        return found

    def _all(self) -> Iterator[PreparedPrompt]:
        self.file.seek(0)
        return (PreparedPrompt.from_json(line.decode("ascii")) for line in self.file)

    def resolved(self, target: AskedTarget) -> TargetKind:
        """Returns the target that `auto` stands for.

        It is `roles` if every prompt has an answer, and all or none of them a distractor: then all
        traces end in the same unit, and their circuits can be compared.
        """
        if target != "auto":
            return target
        alike = self.with_distractor in (0, self.good)
        return "roles" if self.good and self.with_answer == self.good and alike else "probable"


@contextmanager
def intake(
    lines: Iterable[PromptLine | BadLine],
    tokenizer: "PromptTokenizer",
    *,
    chat: bool = False,
    fits: Callable[[TracedPrompt], None] | None = None,
) -> Iterator[Intake]:
    """Yields what the lines held, all of them read; its prompts can be read inside the block.

    With `chat` prompts go through the model's chat template. A prompt is bad for which `fits` raises
    InputError.
    """
    with tempfile.TemporaryFile("w+b", prefix="circuitbase-prompts-") as file:
        found = Intake(file)
        _take_all(lines, found, tokenizer, chat=chat, fits=fits)
        yield found


def _take_all(
    lines: Iterable[PromptLine | BadLine],
    found: Intake,
    tokenizer: "PromptTokenizer",
    *,
    chat: bool,
    fits: Callable[[TracedPrompt], None] | None,
) -> None:
    seen: dict[bytes, int] = {}  # forgotten before the first prompt is queued
    for line in lines:
        _take(line, found, tokenizer, seen, chat=chat, fits=fits)


def _take(
    line: PromptLine | BadLine,
    found: Intake,
    tokenizer: "PromptTokenizer",
    seen: dict[bytes, int],
    *,
    chat: bool,
    fits: Callable[[TracedPrompt], None] | None,
) -> None:
    """Keeps a good line; `seen` has the place of each in the file by a digest of its tokens."""
    if isinstance(line, BadLine):
        found.bad.append((line.number, line.problem))
        return
    try:
        prompt = prepare(line, tokenizer, chat=chat)
        if fits is not None:
            fits(prompt.prompt)
    except InputError as error:
        found.bad.append((line.number, str(error)))
        return
    digest = _digest(prompt.prompt.token_ids)
    place = seen.get(digest)
    if place is None:
        seen[digest] = found.add(prompt)
        return
    first = found.at(place)
    if first.facts == prompt.facts:
        found.repeated += 1
    else:
        problem = (
            f"it has the tokens of line {first.line.number}, but another answer, span, label or cluster; "
            "keep one of them"
        )
        found.bad.append((line.number, problem))


def _digest(token_ids: Sequence[int]) -> bytes:
    return hashlib.blake2b(array("q", token_ids).tobytes(), digest_size=DIGEST_BYTES).digest()
