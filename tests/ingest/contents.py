"""What a database holds, as values to compare."""

from typing import Any

from neo4j import Driver

NODES = "MATCH (n) WHERE NOT n:Schema RETURN labels(n) AS labels, properties(n) AS properties"
RELATIONSHIPS = """
MATCH (a)-[r]->(b)
RETURN type(r) AS type, properties(r) AS properties, coalesce(a.id, a.name, a.index) AS start,
       coalesce(b.id, b.name, b.index) AS end
"""


def contents(driver: Driver) -> list[str]:
    """Returns every node and relationship as text, sorted, time stamps included."""
    rows = [*driver.execute_query(NODES).records, *driver.execute_query(RELATIONSHIPS).records]
    return sorted(repr(sorted(row.data().items(), key=lambda item: item[0])) for row in rows)


def counts(driver: Driver) -> dict[str, int]:
    """Returns how many nodes there are by label (of units: `Unit` alone), and relationships by type."""
    labels = "MATCH (n) RETURN labels(n)[0] AS name, count(*) AS n"
    types = "MATCH ()-[r]->() RETURN type(r) AS name, count(*) AS n"
    return {row["name"]: row["n"] for text in (labels, types) for row in driver.execute_query(text).records}


def rows(driver: Driver, cypher: str, **parameters: Any) -> list[dict[str, Any]]:
    """Returns the rows of a query."""
    return [row.data() for row in driver.execute_query(cypher, parameters).records]


def value(driver: Driver, cypher: str, **parameters: Any) -> Any:
    """Returns the one value of a query."""
    return driver.execute_query(cypher, parameters).records[0][0]
