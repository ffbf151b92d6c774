"""What a user means to remove: a prompt set by its name, or a trace by the first digits of its id."""

from dataclasses import dataclass

from neo4j import Driver

from circuitbase.errors import InputError

FEWEST_DIGITS = 6

_FIND = """
OPTIONAL MATCH (set:PromptSet {name: $name})
OPTIONAL MATCH (set)<-[:IN_SET]-(prompt:Prompt)
WITH set, count(prompt) AS prompts
OPTIONAL MATCH (trace:Trace) WHERE $digits AND trace.id STARTS WITH $name
RETURN set IS NOT NULL AS is_set, prompts, collect(trace.id)[0..3] AS traces
"""


@dataclass(frozen=True)
class RemovalTarget:
    """A prompt set (`trace_id` is None) or a trace; `described` says it in words."""

    trace_id: str | None
    described: str


def removal_target(driver: Driver, name: str, *, database: str) -> RemovalTarget:
    """Returns what a name or an id stands for; raises InputError if it is nothing, or several traces."""
    is_id = len(name) >= FEWEST_DIGITS and set(name) <= set("0123456789abcdef")
    with driver.session(database=database, default_access_mode="READ") as session:
        found = session.run(_FIND, name=name, digits=is_id).single(strict=True)
    if found["is_set"]:
        return RemovalTarget(None, f"prompt set {name} with {found['prompts']} prompts and their traces")
    traces = found["traces"]
    if len(traces) == 1:
        return RemovalTarget(traces[0], f"trace {traces[0][:12]}")
    if traces:
        raise InputError(f"{name} begins the ids of several traces, such as {traces[0][:16]} and {traces[1][:16]}")
    raise InputError(
        f"there is neither a prompt set nor a trace {name!r}; `circuitbase sets` and `circuitbase traces` list "
        f"them (a trace's id needs its first {FEWEST_DIGITS} digits)"
    )
