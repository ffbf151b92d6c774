"""Prompt lines read, tokenised and checked, kept in a temporary file until all of them are known.

Nothing may be queued while a later line can still be bad, and a hundred thousand prompts should
neither be held in memory nor be tokenised twice, so what is good waits on disk.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Literal

from circuitbase.errors import InputError
from circuitbase.graph.trace import TracedPrompt
from circuitbase.schema.identity import sha256
from circuitbase.store.prompt_line import BadLine, PromptLine
from circuitbase.tracing.options import TargetKind
from circuitbase.workers.prepared_prompt import PreparedPrompt, prepare

if TYPE_CHECKING:
    from circuitbase.tracing.tokenizing import PromptTokenizer

AskedTarget = Literal["auto", "probable", "roles"]


@dataclass
class Intake:
    """What the lines held. `bad` has (line number, problem); `repeated` lines equal an earlier one."""

    file: IO[str]
    bad: list[tuple[int, str]] = field(default_factory=list)
    good: int = 0
    repeated: int = 0
    tokens: int = 0
    with_answer: int = 0
    with_distractor: int = 0
    without_role: list[tuple[int, str]] = field(default_factory=list)

    def prompts(self, target: TargetKind) -> Iterator[PreparedPrompt]:
        """Yields the good prompts that can end in the target, in the order of their lines."""
        self.file.seek(0)
        for text in self.file:
            prompt = PreparedPrompt.from_json(text)
            if target == "probable" or prompt.roles:
                yield prompt

    def bad_for(self, target: TargetKind) -> list[tuple[int, str]]:
        """Returns the lines that cannot be traced to the target, with what is wrong."""
        return sorted(self.bad + (self.without_role if target == "roles" else []))

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
    seen: dict[str, tuple[int, str]] = {}
    with tempfile.TemporaryFile("w+", encoding="ascii", prefix="circuitbase-prompts-") as file:
        found = Intake(file)
        for line in lines:
            _take(line, found, tokenizer, seen, chat=chat, fits=fits)
        yield found


def _take(
    line: PromptLine | BadLine,
    found: Intake,
    tokenizer: "PromptTokenizer",
    seen: dict[str, tuple[int, str]],
    *,
    chat: bool,
    fits: Callable[[TracedPrompt], None] | None,
) -> None:
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
    first, facts = seen.setdefault(sha256(prompt.prompt.token_ids), (line.number, prompt.facts))
    if first != line.number:
        if facts == prompt.facts:
            found.repeated += 1
        else:
            problem = f"it has the tokens of line {first}, but another answer, span, label or cluster; keep one of them"
            found.bad.append((line.number, problem))
        return
    found.good += 1
    found.tokens += len(prompt.prompt.token_ids)
    found.with_answer += line.answer is not None
    found.with_distractor += line.distractor is not None
    if not prompt.roles:
        problem = prompt.role_problem or "it has no `answer`, which the target `roles` needs"
        found.without_role.append((line.number, problem))
    found.file.write(prompt.to_json() + "\n")
