"""Running Cypher that only reads: a user's own text or a named query.

Three fences, as no single one holds everywhere: the plan is asked for first and must be a reading
one without LOAD CSV; the session is opened for reading, so that the server refuses writes; and the
transaction has a time limit. A private Neo4j also blocks LOAD CSV of files and URLs by itself.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from neo4j import READ_ACCESS, Driver, Query, Session
from neo4j.exceptions import ClientError, DriverError, Neo4jError
from neo4j.graph import Node, Path, Relationship

from circuitbase.errors import QueryError, ServiceError

SECONDS = 60.0
ROWS = 100_000

_PREFIX = re.compile(r"^\s*(EXPLAIN|PROFILE)\b", re.IGNORECASE)
# Operators of plans that Neo4j calls reading but that reach outside the database or act on it.
_REFUSED = {
    "LoadCSV": "LOAD CSV reads files and addresses outside the database",
    "TerminateTransactions": "it ends other people's transactions",
}
_TIMED_OUT = ("TransactionTimedOut", "TransactionTimedOutClientConfiguration", "TransactionValidationFailed")


@dataclass(frozen=True)
class Rows:
    """What a query returned; `complete` is False where the row limit cut it."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    complete: bool


def run_read_only(
    driver: Driver,
    text: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    database: str,
    seconds: float = SECONDS,
    rows: int = ROWS,
) -> Rows:
    """Returns what a Cypher text that only reads gives, nodes and relationships as plain values.

    Raises QueryError for a text that would write, that reads files or addresses, that is not Cypher,
    or that takes longer than `seconds`; nothing is changed then.
    """
    given = dict(parameters or {})
    with driver.session(database=database, default_access_mode=READ_ACCESS) as session:
        try:
            _check_plan(session, text, given)
            result = session.run(Query(text, timeout=seconds), given)
            columns = tuple(result.keys())
            found: list[dict[str, Any]] = []
            for record in result:
                if len(found) == rows:
                    return Rows(columns=columns, rows=tuple(found), complete=False)
                found.append({name: plain(record[name]) for name in columns})
            return Rows(columns=columns, rows=tuple(found), complete=True)
        except (Neo4jError, DriverError) as error:
            raise _explained(error, seconds=seconds) from error


def plain(value: Any) -> Any:
    """Returns a value of the driver as JSON can hold it: nodes and relationships as their properties."""
    match value:
        case Node():
            return {"labels": sorted(value.labels), **_plain_items(value)}
        case Relationship():
            return {"type": value.type, **_plain_items(value)}
        case Path():
            return [plain(part) for part in _alternating(value)]
        case dict():
            return {key: plain(part) for key, part in value.items()}
        case list() | tuple():
            return [plain(part) for part in value]
        case None | bool() | int() | float() | str():
            return value
    return str(value)


def _check_plan(session: Session, text: str, parameters: dict[str, Any]) -> None:
    summary = session.run(f"EXPLAIN {_PREFIX.sub('', text)}", parameters).consume()
    operators = set(_operators(summary.plan)) if summary.plan else set()
    for operator, reason in _REFUSED.items():
        if operator in operators:
            raise QueryError(f"this Cypher is refused because {reason}; ask for what is stored here")
    if summary.query_type != "r":
        raise QueryError(
            "this Cypher is refused because it would change the database or its server, and here Cypher may "
            "only read; to remove traces use `circuitbase remove`, to add them `circuitbase ingest`"
        )


def _operators(plan: Mapping[str, Any]) -> Iterator[str]:
    yield str(plan["operatorType"]).partition("@")[0]
    for child in plan.get("children", ()):
        yield from _operators(child)


def _explained(error: Neo4jError | DriverError, *, seconds: float) -> QueryError | ServiceError:
    if not isinstance(error, Neo4jError):
        return ServiceError(f"Neo4j did not answer ({error}); see `circuitbase doctor`")
    code, message = error.code or "", " ".join((error.message or str(error)).split())
    if code.endswith(_TIMED_OUT):
        return QueryError(
            f"this Cypher took longer than {seconds:g} seconds and was stopped; "
            "narrow it (a LIMIT, a prompt set), or allow more with --seconds"
        )
    if "AccessMode" in code:
        return QueryError("this Cypher would write, and here Cypher may only read; nothing was changed")
    if isinstance(error, ClientError):
        # The place that follows counts from the EXPLAIN put before the text.
        return QueryError(f"Neo4j cannot run this Cypher: {message.partition(' (line ')[0]}")
    return ServiceError(f"Neo4j failed on this Cypher ({message}); see `circuitbase doctor`, then repeat")


def _plain_items(value: Node | Relationship) -> dict[str, Any]:
    return {key: plain(part) for key, part in value.items()}


def _alternating(path: Path) -> Iterator[Node | Relationship]:
    for node, relationship in zip(path.nodes, path.relationships, strict=False):
        yield node
        yield relationship
    yield path.nodes[-1]
