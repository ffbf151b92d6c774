"""A good line of a prompt file with its tokens: everything that does not depend on the options."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from circuitbase.errors import InputError
from circuitbase.graph.trace import TracedPrompt
from circuitbase.schema.identity import canonical_json
from circuitbase.store.prompt_line import PromptLine
from circuitbase.tracing.options import RoleTarget

if TYPE_CHECKING:
    from circuitbase.tracing.tokenizing import PromptTokenizer

ANSWER_ROLE = "answer"
DIFFERENCE_ROLE = "answer-distractor"


@dataclass(frozen=True)
class PreparedPrompt:
    """A line, its tokens, and the token positions of its spans by role.

    `roles` is the role output that answer and distractor make; empty where there is no answer, or
    where `role_problem` says why they make none.
    """

    line: PromptLine
    prompt: TracedPrompt
    positions: dict[str, list[int]]
    roles: tuple[RoleTarget, ...]
    role_problem: str | None

    def to_json(self) -> str:
        """Returns the prompt as one line of JSON."""
        found = {
            **vars(self),  # not asdict(), which copies every number
            "line": vars(self.line),
            "prompt": vars(self.prompt),
            "roles": [vars(role) for role in self.roles],
        }
        return json.dumps(found, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "PreparedPrompt":
        """Returns the prompt that `to_json` wrote."""
        found = json.loads(text)
        line = found["line"] | {"spans": {role: tuple(span) for role, span in found["line"]["spans"].items()}}
        return cls(
            line=PromptLine(**_with_tuples(line)),
            prompt=TracedPrompt(**_with_tuples(found["prompt"])),
            positions=found["positions"],
            roles=tuple(RoleTarget(**role) for role in found["roles"]),
            role_problem=found["role_problem"],
        )

    @property
    def facts(self) -> str:
        """Returns what the set says of the prompt, as JSON."""
        return canonical_json(vars(self.line) | {"number": 0, "prompt": None, "tokens": None})


def prepare(line: PromptLine, tokenizer: "PromptTokenizer", *, chat: bool = False) -> PreparedPrompt:
    """Returns the line with its tokens; raises InputError if the model cannot read the prompt.

    With `chat` the prompt is a user's message and goes through the model's chat template.
    """
    prompt = tokenizer.read(line.prompt if line.prompt is not None else list(line.tokens or ()), chat=chat)
    positions = {
        role: tokenizer.span_positions(line.prompt, span, chat=chat) for role, span in line.spans.items() if line.prompt
    }
    problem = None
    roles: tuple[RoleTarget, ...] = ()
    try:
        roles = role_targets(line, tokenizer)
    except InputError as error:
        problem = str(error)
    return PreparedPrompt(line=line, prompt=prompt, positions=positions, roles=roles, role_problem=problem)


def role_targets(line: PromptLine, tokenizer: "PromptTokenizer") -> tuple[RoleTarget, ...]:
    """Returns the one role output of a line, its answer minus its distractor; () without an answer."""
    if line.answer is None:
        return ()
    answer = tokenizer.one_token(line.answer)
    if line.distractor is None:
        return (RoleTarget(role=ANSWER_ROLE, token=answer),)
    distractor = tokenizer.one_token(line.distractor)
    if distractor == answer:
        raise InputError(f"answer and distractor must be two tokens, got {line.answer!r} and {line.distractor!r}")
    return (RoleTarget(role=DIFFERENCE_ROLE, token=answer, minus=distractor),)


def _with_tuples(found: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
