"""The `circuitbase` command: a table of its subcommands, each loaded only when it is called."""

import importlib
import keyword
from typing import Any

import click

from circuitbase.errors import CircuitbaseError

# command -> module of circuitbase.cli that defines it (attribute: the name with _ for -, and behind a keyword)
COMMANDS: dict[str, str] = {
    "demo": "demo",
    "up": "services",
    "down": "services",
    "fetch": "services",
    "doctor": "services",
    "migrate": "stored",
    "submit": "submit",
    "worker": "worker",
    "jobs": "jobs",
    "trace": "trace",
    "attribute": "attribute",
    "ingest": "stored",
    "import": "importing",
    "export": "exporting",
    "remove": "rollups",
    "rollup": "rollups",
    "sets": "stored",
    "traces": "stored",
    "digest": "rollups",
    "store": "store",
    "query": "asking",
    "cypher": "asking",
    "lens": "lens",
    "attention": "attention",
    "circuit": "circuits",
    "contrast": "circuits",
    "clusters": "similarity",
    "similar": "similarity",
    "overlap": "similarity",
    "subcircuits": "subcircuits",
    "supernodes": "supernodes",
    "consensus": "consensus",
    "find": "finding",
    "patch": "patching",
    "scrub": "patching",
    "motifs": "motifs",
    "component-circuit": "component_circuits",
    "heads": "heads",
    "benchmark": "benchmark",
}


class LazyGroup(click.Group):
    """A group whose subcommands are imported when used, so that `--help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the commands in the order of a user's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Returns one command, importing its module."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"circuitbase.cli.{COMMANDS[name]}")
        attribute = f"{name}_" if keyword.iskeyword(name) else name.replace("-", "_")
        command: click.Command = getattr(module, attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; a CircuitbaseError becomes one sentence and exit code 1."""
        try:
            return super().invoke(ctx)
        except CircuitbaseError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="circuitbase")
def main() -> None:
    """Trace what a language model computes, store every graph in Neo4j, ask in Cypher."""
