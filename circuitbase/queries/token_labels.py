"""What a feature is called: the label that it was given, else the commonest tokens where it is strongest."""

from collections.abc import Sequence

from neo4j import Session

from circuitbase.queries.relabelling import unit_and_role

_PEAK_TOKENS = """
UNWIND $units AS id
MATCH (prompt:Prompt)-[fires:ACTIVATES]->(unit:Unit {id: id})
WITH unit, prompt.tokens[fires.peak_position] AS token, count(*) AS times, max(fires.peak) AS peak
ORDER BY times DESC, peak DESC, token
WITH unit, collect(token)[0..$tokens] AS tokens
RETURN unit.id AS id, tokens
"""
_GIVEN = """
UNWIND $units AS id
MATCH (unit:Unit {id: id}) WHERE unit.label IS NOT NULL
RETURN unit.id AS id, unit.label AS label
"""


def labels_with_roles(session: Session, ids: Sequence[str]) -> dict[str, str]:
    """Returns the labels of ids that may say a role beside the unit."""
    units = {id: unit_and_role(id)[0] for id in ids}
    labels = peak_token_labels(session, [unit for unit in units.values() if unit])
    return {id: labels[unit] for id, unit in units.items() if unit in labels}


def peak_token_labels(session: Session, units: Sequence[str], *, tokens: int = 3) -> dict[str, str]:
    """Returns unit id → label such as `capital, capitale`, over all prompts; features alone have one.

    A label that was given, by a person or with an imported graph, takes the place of tokens.
    """
    ids = sorted(set(units))
    found = session.run(_PEAK_TOKENS, units=ids, tokens=tokens)
    labels = {row["id"]: ", ".join(token.strip() or repr(token) for token in row["tokens"]) for row in found}
    return labels | given_labels(session, ids)


def given_labels(session: Session, units: Sequence[str]) -> dict[str, str]:
    """Returns unit id → label of the units that were given one."""
    return {row["id"]: row["label"] for row in session.run(_GIVEN, units=sorted(set(units)))}
