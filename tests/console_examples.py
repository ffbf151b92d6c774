"""The examples in the documentation: found, run, compared with what they print, and written anew.

A fenced block marked `console` holds commands after `$ ` and, below each, what it prints; a line `…`
stands for any lines. Blocks marked `sh` are not run.

`python -m tests.console_examples docs/quickstart.md` runs the examples with the settings of the
environment (a worker must be running) and writes what they print into the file.
"""

import contextlib
import math
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COLUMNS = "110"
ANYTHING = "…"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BOX = re.compile(r"[─-╿]+")
_NUMBER = re.compile(r"-?\d[\d,]*(\.\d+)?(e-?\d+)?%?")


@dataclass(frozen=True)
class Example:
    """A command as it is shown, on one or more lines, and the lines that it prints."""

    shown: str
    printed: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        """What is run: `circuitbase` of this checkout."""
        name, *rest = shlex.split(self.shown.replace("\\\n", " "))
        assert name == "circuitbase", f"only circuitbase is run in examples, got {self.shown!r}"
        return [sys.executable, "-m", "circuitbase", *rest]


def examples(text: str) -> list[Example]:
    """Returns the examples of a document in their order."""
    return [example for block in _BLOCK.findall(text) for example in _examples_of(block)]


def run(example: Example, *, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs an example in `folder`; tables are as wide there as in the documents."""
    return subprocess.run(
        example.arguments,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env=os.environ | {"COLUMNS": COLUMNS, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment,
    )


def run_here(example: Example) -> subprocess.CompletedProcess[str]:
    """Runs an example in this process, in the folder of the checkout."""
    from click.testing import CliRunner

    from circuitbase.cli.main import main

    with contextlib.chdir(ROOT):
        done = CliRunner().invoke(main, example.arguments[3:], env={"COLUMNS": COLUMNS})
    error = done.stderr if done.exception is None else f"{done.stderr}{done.exception!r}"
    return subprocess.CompletedProcess(example.arguments, done.exit_code, done.stdout, error)


def difference(printed: str, expected: tuple[str, ...]) -> str | None:
    """Returns how what was printed differs from what is shown; None if only in the last digits of numbers.

    Numbers may differ by 2 %, since another processor rounds otherwise; ones below 1e-5 are rounding itself.
    """
    found = [words for line in printed.splitlines() if (words := _words(line))]
    wanted = [words for line in expected if (words := _words(line))]
    for number, words in enumerate(wanted):
        if words == [ANYTHING]:
            rest = wanted[number + 1 :]
            if not rest:
                return None
            found = [*found[:number], words, *found[len(found) - len(rest) :]]
        elif number >= len(found):
            return f"{' '.join(words)!r} is not printed any more"
        elif not _same(found[number], words):
            return f"{' '.join(words)!r} is shown, but {' '.join(found[number])!r} was printed"
    return f"{' '.join(found[len(wanted)])!r} was printed too" if len(found) > len(wanted) else None


def _examples_of(block: str) -> list[Example]:
    found: list[Example] = []
    command: list[str] = []
    printed: list[str] = []
    for line in [*block.splitlines(), "$ "]:
        if command and command[-1].endswith("\\"):
            command.append(line)
        elif line.startswith("$ "):
            if command:
                found.append(Example("\n".join(command), tuple(printed)))
            command, printed = [line[2:]], []
        else:
            printed.append(line)
    return found


def _words(line: str) -> list[str]:
    return _BOX.sub(" ", line).split()


def _same(found: list[str], wanted: list[str]) -> bool:
    return len(found) == len(wanted) and all(_same_word(a, b) for a, b in zip(found, wanted, strict=True))


def _same_word(found: str, wanted: str) -> bool:
    if found == wanted:
        return True
    if not (_NUMBER.fullmatch(found) and _NUMBER.fullmatch(wanted)):
        return False
    a, b = (float(word.replace(",", "").rstrip("%")) for word in (found, wanted))
    return math.isclose(a, b, rel_tol=0.02, abs_tol=1e-5)


def rewritten(text: str, *, folder: Path) -> str:
    """Returns the document with what its examples print now; lines after `…` are kept out."""

    def block(match: re.Match[str]) -> str:
        lines = []
        for example in _examples_of(match.group(1)):
            sys.stderr.write(f"$ {example.shown}\n")
            done = run(example, folder=folder)
            if done.returncode:
                sys.exit(done.stderr)
            printed = [line.rstrip() for line in done.stdout.splitlines()]
            if ANYTHING in example.printed:
                shown = example.printed.index(ANYTHING)
                last = len(example.printed) - shown - 1
                printed = [*printed[:shown], ANYTHING, *(printed[-last:] if last else [])]
            lines += [f"$ {example.shown}", *printed, ""]
        return "\n".join(["```console", *lines[:-1], "```"])

    return _BLOCK.sub(block, text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(rewritten(path.read_text(), folder=ROOT))
