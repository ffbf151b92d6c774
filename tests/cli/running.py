"""Running a command as a user would, and reading what it prints."""

import json
from typing import Any

from click.testing import CliRunner, Result

from circuitbase.cli.main import main


def run(*arguments: str, stdin: str | None = None) -> Result:
    """Returns the result of `circuitbase ARGUMENTS`, which must succeed."""
    result = CliRunner().invoke(main, list(arguments), input=stdin)
    assert result.exit_code == 0, result.output
    return result


def rows(*arguments: str, stdin: str | None = None) -> list[dict[str, Any]]:
    """Returns the rows that a command prints when piped."""
    return [json.loads(line) for line in run(*arguments, stdin=stdin).stdout.splitlines()]


def refusal(*arguments: str) -> str:
    """Returns the sentence of a command that must fail with exit code 1 and print no row."""
    result = CliRunner().invoke(main, list(arguments))
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    before, error, sentence = result.stderr.partition("Error: ")
    assert error and "Traceback" not in before
    return sentence
