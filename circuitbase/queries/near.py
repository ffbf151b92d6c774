"""The traces that a trace can be compared with: those under its configuration, of one set or of all."""

from neo4j import Driver, Session

from circuitbase.errors import InputError
from circuitbase.queries.removal_target import FEWEST_DIGITS
from circuitbase.queries.rollup_choice import check_set
from circuitbase.queries.selection import Selection, selected_by_cypher

_BEGINNING = """
MATCH (trace:Trace)-[:UNDER]->(configuration:Configuration)
WHERE trace.id STARTS WITH $beginning
RETURN trace.id AS id, configuration.id AS configuration LIMIT 3
"""
_ALL = "MATCH (t:Trace)-[:UNDER]->(:Configuration {id: $configuration}) RETURN t.id AS id"
_OF_SET = """
MATCH (t:Trace)-[:OF_PROMPT]->(:Prompt)-[:IN_SET]->(:PromptSet {name: $set})
MATCH (t)-[:UNDER]->(:Configuration {id: $configuration}) RETURN t.id AS id
UNION MATCH (t:Trace {id: $trace}) RETURN t.id AS id
"""


def traces_beside(
    driver: Driver, session: Session, beginning: str, *, prompt_set: str | None, database: str
) -> tuple[str, Selection]:
    """Returns a trace's id and the traces to compare it with, itself among them.

    Raises InputError if no trace or several begin so, or if there is no such set.
    """
    if len(beginning) < FEWEST_DIGITS:
        raise InputError(f"a trace is named by at least the first {FEWEST_DIGITS} digits of its id, got {beginning!r}")
    found = session.run(_BEGINNING, beginning=beginning.lower()).data()
    if len(found) != 1:
        what = "no trace begins" if not found else "several traces begin"
        raise InputError(f"{what} with {beginning!r}; `circuitbase traces` lists them")
    ((id, configuration),) = [(row["id"], row["configuration"]) for row in found]
    if prompt_set is not None:
        check_set(session, prompt_set)
    given = {"configuration": configuration, "set": prompt_set, "trace": id}
    text = _ALL if prompt_set is None else _OF_SET
    return id, selected_by_cypher(driver, text, database=database, configuration=configuration, parameters=given)
