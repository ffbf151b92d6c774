"""The page on operations: what it prints is printed, what it only shows can be typed, and a backup restores."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from neo4j import Driver

from circuitbase import services
from circuitbase.cli.main import main
from circuitbase.ingest.connection import open_driver
from circuitbase.ingest.migrations import ensure_schema
from circuitbase.ingest.trace_files import ingest_file
from circuitbase.queries.digest import digest
from circuitbase.services.java import find_java
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.console_examples import ROOT, difference, examples, run
from tests.synthetic import synthetic_trace

PAGE = (ROOT / "docs" / "operations.md").read_text()
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:^|\bExecStart=\S*/)circuitbase (.*)", re.MULTILINE)


def shown_commands() -> Iterator[list[str]]:
    """Yields the arguments of every `circuitbase` command that is shown but not run."""
    blocks = [*_SHELL.findall(PAGE), *re.findall(r"^ExecStart=.*$", PAGE, re.MULTILINE)]
    for line in _COMMAND.findall("\n".join(blocks)):
        yield shlex.split(re.split(r" (?:&|2>|\||#)", f"{line} ")[0])


@pytest.mark.parametrize("arguments", list(shown_commands()), ids=" ".join)
def test_every_command_on_the_page_exists_with_its_options(arguments: list[str]) -> None:
    command, context = main, click.Context(main)
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        name, *arguments = arguments
        found = command.get_command(context, name)
        assert found is not None, name
        command, context = found, click.Context(found, parent=context)  # type: ignore[assignment]
    command.make_context("shown", arguments)


def test_the_page_prints_what_it_shows(settings: Settings, database: Driver) -> None:
    found = examples(PAGE)
    assert len(found) >= 4
    for example in found:
        done = run(example, folder=ROOT)
        assert done.returncode == 0, f"{example.shown}\n{done.stderr}"
        problem = difference(done.stdout, example.printed)
        assert problem is None, f"{example.shown}: {problem}"


def shell(text: str, settings: Settings, folder: Path) -> None:
    """Runs the shell commands of a block; those of circuitbase are left to the test."""
    lines = [line for line in text.splitlines() if not line.startswith("circuitbase ")]
    environment = os.environ | {
        "CIRCUITBASE_HOME": str(settings.home),
        "CIRCUITBASE_CACHE": str(settings.cache),
        "PATH": f"{find_java().executable.parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["sh", "-euc", "\n".join(lines)], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def digested(settings: Settings) -> str:
    with open_driver(settings) as driver:
        return digest(driver, prompt_set=None, database=settings.neo4j_database).digest


def test_what_was_backed_up_can_be_restored_elsewhere(tmp_path: Path) -> None:
    backup, restore = (
        next(text for text in _SHELL.findall(PAGE) if f"database {verb}" in text) for verb in ("dump", "load")
    )
    any_ports = services.Ports(bolt=0, http=0, redis=0)
    old, new = (Settings(home=tmp_path / name, store=str(tmp_path / name / "store")) for name in ("old", "new"))
    traces = TraceStore(str(tmp_path / "files"))
    try:
        services.up(old, memory=services.SMALL, ports=any_ports)
        with open_driver(old) as driver:
            ensure_schema(driver, database=old.neo4j_database)
            for seed in (51, 52):
                location = traces.save(synthetic_trace(seed))
                ingest_file(location, driver=driver, store=TraceStore(old.store_url), database=old.neo4j_database)
        before = digested(old)
        services.down(old)
        shell(backup, old, tmp_path)
        services.up(new, memory=services.SMALL, ports=any_ports)
        services.down(new)
        shell(restore, new, tmp_path)
        services.up(new, memory=services.SMALL, ports=any_ports)
        assert digested(new) == before
        assert list(TraceStore(new.store_url).trace_ids()) == list(TraceStore(old.store_url).trace_ids())
    finally:
        services.down(old)
        services.down(new)
