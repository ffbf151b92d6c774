"""What a configuration is made of, and in what several of them differ."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neo4j import Session

_FACTS = """
UNWIND $ids AS id
MATCH (configuration:Configuration {id: id})-[:OF_MODEL]->(model:Model)
OPTIONAL MATCH (configuration)-[:USES]->(dictionary:Dictionary)
RETURN id, model.id AS model, dictionary.id AS dictionary, configuration.kind AS kind,
       configuration.target AS target, configuration.options AS options, configuration.dtype AS dtype,
       configuration.tracer_version AS tracer_version
"""
PRUNING = frozenset({"prune", "node_threshold", "edge_threshold"})


@dataclass(frozen=True)
class ConfigurationFacts:
    """A configuration's parts by name: model, dictionary, kind, dtype, tracer_version, target, and each option."""

    id: str
    parts: dict[str, Any]


def configuration_facts(session: Session, ids: Sequence[str]) -> list[ConfigurationFacts]:
    """Returns the parts of configurations, in the order of their ids."""
    found = {row["id"]: _facts(row) for row in session.run(_FACTS, ids=list(ids)).data()}
    return [found[id] for id in ids]


def differing_parts(configurations: Sequence[ConfigurationFacts]) -> list[str]:
    """Returns the names of the parts that are not the same in all, sorted; an option that is not stated is a value."""
    names = {name for each in configurations for name in each.parts}
    return sorted(name for name in names if len({_text(each.parts.get(name)) for each in configurations}) > 1)


def only_prunings_differ(configurations: Sequence[ConfigurationFacts]) -> bool:
    """Returns whether nothing but the pruning tells them apart."""
    return set(differing_parts(configurations)) <= PRUNING


def _facts(row: dict[str, Any]) -> ConfigurationFacts:
    named = {name: row[name] for name in ("model", "dictionary", "kind", "dtype", "tracer_version")}
    target = json.loads(row["target"])
    return ConfigurationFacts(id=row["id"], parts={**named, "target": target, **json.loads(row["options"])})


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
