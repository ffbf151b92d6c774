"""The automatic label of a feature: the commonest tokens where it is strongest."""

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


def labels_with_roles(session: Session, ids: Sequence[str]) -> dict[str, str]:
    """Returns the labels of ids that may say a role beside the unit."""
    units = {id: unit_and_role(id)[0] for id in ids}
    labels = peak_token_labels(session, [unit for unit in units.values() if unit])
    return {id: labels[unit] for id, unit in units.items() if unit in labels}


def peak_token_labels(session: Session, units: Sequence[str], *, tokens: int = 3) -> dict[str, str]:
    """Returns unit id → label such as `capital, capitale`, over all prompts; features alone have one."""
    found = session.run(_PEAK_TOKENS, units=sorted(set(units)), tokens=tokens)
    return {row["id"]: ", ".join(token.strip() or repr(token) for token in row["tokens"]) for row in found}
