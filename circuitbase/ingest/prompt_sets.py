"""Putting prompts into named sets, with what the set says of each.

What a set says of a prompt (answer, spans, labels, cluster) belongs to the set: the same prompt may
be in several, and its traces know nothing of them.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from neo4j import Driver, ManagedTransaction, Session

from circuitbase.errors import InputError
from circuitbase.graph.trace import TracedPrompt
from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.managed import write
from circuitbase.ingest.migrations import ensure_schema
from circuitbase.ingest.statements import JOIN_SET, LOCK_SET, PUT_INTO_SET, UPSERT_PROMPTS
from circuitbase.schema.declaration import node, relationship
from circuitbase.schema.identity import canonical_json
from circuitbase.schema.rows import row, rows
from circuitbase.store.prompt_line import Label

BATCH = 1_000

_LABEL_NAME = re.compile(r"[^\W\d]\w*")
_DECLARED = frozenset(property.name for property in relationship("IN_SET").properties)


@dataclass(frozen=True)
class SetPrompt:
    """A prompt as a set holds it. `spans` count characters of the text, `roles` are token positions.

    `cluster` names prompts that are not independent of each other; None: the prompt stands alone.
    """

    prompt_id: str
    prompt: TracedPrompt
    answer: str | None = None
    distractor: str | None = None
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    roles: Mapping[str, Sequence[int]] = field(default_factory=dict)
    cluster: str | None = None
    labels: Mapping[str, Label] = field(default_factory=dict)


@dataclass(frozen=True)
class PutPrompts:
    """How many prompts were new to the set, and how often a transaction was repeated."""

    new: int
    retries: int


def put_prompts(driver: Driver, set_name: str, entries: Sequence[SetPrompt], *, database: str) -> PutPrompts:
    """Puts prompts into a set, which is made if there is none; repeating it changes nothing.

    What is said of a prompt replaces what the set said of it before. Raises InputError for labels that
    cannot be properties; then nothing is written.
    """
    check_labels(entries)
    return _put(driver, set_name, entries, PUT_INTO_SET, database=database)


def join_set(driver: Driver, set_name: str, entries: Sequence[SetPrompt], *, database: str) -> PutPrompts:
    """Puts prompts into a set; of those that are in it already, nothing is changed."""
    return _put(driver, set_name, entries, JOIN_SET, database=database)


def check_set_name(name: str) -> None:
    """Raises InputError for a name that no command could take back."""
    if not name.strip() or not name.isprintable() or name.startswith("-"):
        raise InputError(f"a prompt set must have a printable name that does not begin with `-`, got {name!r}")


def check_labels(entries: Sequence[SetPrompt]) -> None:
    """Raises InputError that lists every label whose name or value cannot be a property of IN_SET."""
    found = sorted({problem for entry in entries for problem in _label_problems(entry.labels)})
    if found:
        raise InputError(f"labels of a prompt set become properties, and these cannot: {'; '.join(found)}; change them")


def _put(driver: Driver, set_name: str, entries: Sequence[SetPrompt], statement: str, *, database: str) -> PutPrompts:
    # Sorted, so that two writers take locks in the same order; of equal prompts the last one stays.
    ordered = sorted({entry.prompt_id: entry for entry in entries}.values(), key=lambda entry: entry.prompt_id)
    new = retries = 0
    ensure_schema(driver, database=database)
    with (
        database_failures(f"putting prompts into the set {set_name}"),
        driver.session(database=database) as session,
    ):
        for start in range(0, len(ordered), BATCH):
            put = _put_batch(session, set_name, ordered[start : start + BATCH], statement)
            new, retries = new + put.new, retries + put.retries
    return PutPrompts(new=new, retries=retries)


def _put_batch(session: Session, set_name: str, entries: Sequence[SetPrompt], statement: str) -> PutPrompts:
    prompt_rows = rows(node("Prompt"), _columns([prompt_values(entry.prompt_id, entry.prompt) for entry in entries]))
    ids, labels = [entry.prompt_id for entry in entries], [dict(entry.labels) for entry in entries]
    said = rows(relationship("IN_SET"), _columns([_said(entry) for entry in entries]), before=[ids], after=[labels])
    set_row = row(node("PromptSet"), {"name": set_name})

    def work(transaction: ManagedTransaction) -> int:
        transaction.run(LOCK_SET, row=set_row).consume()
        transaction.run(UPSERT_PROMPTS, rows=prompt_rows).consume()
        return transaction.run(statement, set=set_name, rows=said).consume().counters.relationships_created

    written = write(session, work)
    return PutPrompts(new=written.value, retries=written.retries)


def prompt_values(prompt_id: str, prompt: TracedPrompt) -> dict[str, Any]:
    """Returns the properties of a Prompt node."""
    return {
        "id": prompt_id,
        "text": prompt.text,
        "token_ids": list(prompt.token_ids),
        "tokens": list(prompt.token_strings),
        "n_tokens": len(prompt.token_ids),
    }


def _said(entry: SetPrompt) -> dict[str, Any]:
    return {
        "answer": entry.answer,
        "distractor": entry.distractor,
        "cluster": entry.cluster if entry.cluster is not None else entry.prompt_id,
        "spans": canonical_json({role: list(span) for role, span in entry.spans.items()}) if entry.spans else None,
        "roles": canonical_json({role: list(p) for role, p in entry.roles.items()}) if entry.roles else None,
    }


def _columns(values: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in values] for name in values[0]}


def _label_problems(labels: Mapping[str, Label]) -> list[str]:
    found = []
    for name, value in labels.items():
        if not _LABEL_NAME.fullmatch(name):
            found.append(f"{name!r} is no name of letters, digits and underscores")
        elif name in _DECLARED:
            found.append(f"{name!r} has a meaning of its own in every set")
        if not isinstance(value, Label) or (isinstance(value, float) and not math.isfinite(value)):
            found.append(f"{name!r} must be a text, a finite number, true or false, got {value!r}")
    return found
