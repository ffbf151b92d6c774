"""`circuitbase submit` from its start to its end as a user runs it: seconds, and the most memory it held.

The processor time of the command itself, which Neo4j and Redis are not in, says what other work on the machine hides.
"""

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.measurement import Measurement
from circuitbase.demo.packaged import model_folder, prompt_sets
from circuitbase.settings import Settings

FEW, MANY = 10_000, 100_000
FEW_SECONDS, MANY_SECONDS = 20.0, 300.0
MOST_MEMORY = 1.25  # 90,000 more ids, and nothing else
WORDS_BEFORE = 4
SETS = ("capital-en", "capital-fr", "bird-en")


@dataclass(frozen=True)
class Ran:
    """Wall and processor seconds of a process, and the bytes that it held at most."""

    seconds: float
    processor: float
    peak: int


def submission(settings: Settings, *, folder: Path, long: bool) -> list[Measurement]:
    """Returns what submitting 10,000 prompts takes, with `long` also 100,000."""
    few = write_prompts(folder / "few", FEW)
    ran = {path.suffix: _submitted(settings, path) for path in few}
    found = [
        row
        for kind, each in ran.items()
        for row in (
            Measurement(f"submitting {FEW:,} prompts ({kind})", each.seconds, "s", goal=FEW_SECONDS, better="lower"),
            Measurement(f"its processor time, {FEW:,} prompts ({kind})", each.processor, "s", better="lower"),
        )
    ]
    if not long:
        return found
    path, _ = write_prompts(folder / "many", MANY)
    many = _submitted(settings, path)
    return [
        *found,
        Measurement(f"submitting {MANY:,} prompts (.jsonl)", many.seconds, "s", goal=MANY_SECONDS, better="lower"),
        Measurement(f"its processor time, {MANY:,} prompts (.jsonl)", many.processor, "s", better="lower"),
        Measurement(f"peak memory, {FEW:,} prompts", ran[".jsonl"].peak / 1e6, "MB"),
        Measurement(f"peak memory, {MANY:,} prompts", many.peak / 1e6, "MB"),
        Measurement(
            f"peak memory, {MANY:,} beside {FEW:,}",
            many.peak / ran[".jsonl"].peak,
            "ratio",
            goal=MOST_MEMORY,
            better="lower",
        ),
    ]


def write_prompts(path: Path, count: int) -> tuple[Path, Path]:
    """Writes prompts of the packaged model, each behind words drawn anew: with everything said of them, and as text."""
    vocabulary = json.loads((model_folder() / "tokenizer.json").read_text())["model"]["vocab"]
    words = sorted(word for word in vocabulary if word.isalpha())
    lines = [json.loads(line) for name in SETS for line in prompt_sets()[name].read_text().splitlines()]
    drawn = random.Random(count)
    with path.with_suffix(".jsonl").open("w") as rich, path.with_suffix(".txt").open("w") as plain:
        for number in range(count):
            line = drawn.choice(lines)
            before = "".join(f"{drawn.choice(words)} " for _ in range(WORDS_BEFORE))
            spans = {role: [end + len(before) for end in span] for role, span in line["spans"].items()}
            prompt, labels = before + line["prompt"], {**line["labels"], "number": number}
            rich.write(json.dumps({**line, "prompt": prompt, "spans": spans, "labels": labels}) + "\n")
            plain.write(prompt + "\n")
    return path.with_suffix(".jsonl"), path.with_suffix(".txt")


def _submitted(settings: Settings, path: Path) -> Ran:
    command = ["submit", str(path), "--model", "atlas", "--dictionary", "atlas", "--set", path.name, "--json"]
    environment = os.environ | {"CIRCUITBASE_HOME": str(settings.home), "CIRCUITBASE_STORE": settings.store_url}
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "circuitbase", *command], env=environment, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        raise RuntimeError(f"`circuitbase {' '.join(command)}` must succeed, but its status was {status}")
    return Ran(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
