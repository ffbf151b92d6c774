"""The rooms of the package, held to their order by reading every import and loading every room."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "circuitbase"
ROOMS = (
    "schema",
    "graph",
    "store",
    "tracing",
    "ingest",
    "queries",
    "training",
    "evaluation",
    "workers",
    "services",
    "pages",
    "demo",
    "cli",
)
ABOVE_ALL = {"errors", "settings"}
# the rooms of which somebody who only asks questions, or only runs services, loads any module
WITHOUT_TORCH = ("schema", "graph", "store", "ingest", "queries", "services", "cli")
HEAVY = {"torch", "transformers", "matplotlib", "celery", "kombu", "sklearn", "pandas"}
STANDARD = set(sys.stdlib_module_names)
MAY_IMPORT = {
    "schema": set(),
    "graph": {"numpy", "scipy", "networkx", "jaxtyping"},
    "queries": {"numpy", "neo4j", "jaxtyping"},
}


def python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yields (line, dotted name) of every import in a file, also inside functions and relative."""
    package = dotted(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            # `from circuitbase import store` names a room in its list of names
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def room_of(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "circuitbase" and len(parts) > 1 else None


def loaded_after(*modules: str) -> set[str]:
    program = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return {name.partition(".")[0] for name in answer.stdout.split()}


def test_every_folder_of_the_package_is_a_room():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= set(ROOMS)


def test_rooms_import_only_rooms_before_them():
    wrong = []
    for path in python_files():
        room = path.relative_to(PACKAGE).parts[0]
        for line, name in imports(path):
            imported = room_of(name)
            if room in ROOMS and imported in ROOMS and ROOMS.index(imported) > ROOMS.index(room):
                wrong.append(f"{path.relative_to(PACKAGE.parent)}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_errors_and_settings_import_no_room():
    wrong = [
        f"{name}.py:{line} imports {imported}"
        for name in ABOVE_ALL
        for line, imported in imports(PACKAGE / f"{name}.py")
        if room_of(imported) in ROOMS
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_of_pure_thought_import_only_what_they_think_with(room: str):
    allowed = MAY_IMPORT[room] | STANDARD | {"circuitbase"}
    wrong = [
        f"{path.relative_to(PACKAGE.parent)}:{line} imports {name}"
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for line, name in imports(path)
        if name.partition(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_the_command_line_answers_without_heavy_imports():
    assert not loaded_after("circuitbase.cli.main") & (HEAVY | {"numpy", "neo4j", "redis", "scipy"})


def test_asking_queries_loads_no_torch():
    assert not loaded_after("circuitbase.queries") & HEAVY


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_no_module_of_a_light_room_loads_anything_heavy(room: str):
    modules = [dotted(path) for path in python_files() if path.relative_to(PACKAGE).parts[0] == room]
    assert not loaded_after(*modules) & HEAVY


def test_every_command_module_can_be_loaded_without_heavy_imports():
    from circuitbase.cli.main import COMMANDS

    assert not loaded_after(*sorted({f"circuitbase.cli.{module}" for module in COMMANDS.values()})) & HEAVY
