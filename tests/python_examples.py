"""The Python in the documentation: run block after block in one interpreter, compared with what is shown.

A fenced block marked `python` that is followed by one marked `text` prints that text; blocks know what those
before them defined. `python -m tests.python_examples docs/components.md` writes what they print into the file.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.console_examples import ROOT

_BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<printed>.*?)^```\n)?", re.MULTILINE | re.DOTALL)
_END = "--- end of a block ---"


@dataclass(frozen=True)
class PythonExample:
    """A block of code, and the lines that it prints; None where none are shown."""

    code: str
    printed: tuple[str, ...] | None


def python_examples(text: str) -> list[PythonExample]:
    """Returns the blocks of a document in their order."""
    return [
        PythonExample(match["code"], None if match["printed"] is None else tuple(match["printed"].splitlines()))
        for match in _BLOCK.finditer(text)
    ]


def run_together(examples: list[PythonExample], *, folder: Path) -> list[str]:
    """Returns what each block prints; raises AssertionError with the error's text if one fails."""
    program = "".join(f"{example.code}\nprint({_END!r})\n" for example in examples)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(f"{_END}\n")[:-1]


def rewritten(text: str, *, folder: Path) -> str:
    """Returns the document with what its blocks print now."""
    printed = iter(run_together(python_examples(text), folder=folder))

    def block(match: re.Match[str]) -> str:
        now = next(printed)
        shown = "" if match["printed"] is None else f"\n```text\n{now}```\n"
        return f"```python\n{match['code']}```\n{shown}"

    return _BLOCK.sub(block, text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(rewritten(path.read_text(), folder=ROOT))
