import importlib
import pkgutil
import re

import pytest

from circuitbase import queries
from circuitbase.schema.cypher_names import undeclared_names

CYPHER = re.compile(r"^\s*(OPTIONAL MATCH|MATCH|UNWIND|MERGE)\b")


def statements() -> dict[str, str]:
    """Returns every Cypher text that a module of the room holds, by where it stands."""
    modules = [
        importlib.import_module(f"circuitbase.queries.{it.name}") for it in pkgutil.iter_modules(queries.__path__)
    ]
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, str) and CYPHER.match(value)
    }


@pytest.mark.parametrize("name", sorted(statements()))
def test_a_statement_uses_declared_names_alone(name: str) -> None:
    assert undeclared_names(statements()[name]) == []


def test_every_statement_is_found() -> None:
    assert {"rollup.MARK_SUMMED", "hiding.HIDE_TRACES", "circuit._EDGES", "digest._NODES"} <= statements().keys()
