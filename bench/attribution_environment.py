"""Running a tracer in a process of its own, and the environment that circuit-tracer needs for that."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.attribution_shape import Subject

HERE = Path(__file__).resolve().parent
PACKAGE = "circuit-tracer==0.5.0"  # a third party's upload of the project to the Python index
COMPLETE: dict[str, Any] = {"prune": False}
PRUNED: dict[str, Any] = {"prune": True}


@dataclass(frozen=True)
class Request:
    """One prompt to trace; `runs` are the options of our traces of it, one after another in one process.

    circuit-tracer traces it once, completely, `batch_size` targets together; then it prunes and scores.
    """

    subject: Subject
    token_ids: Sequence[int]
    threads: int
    runs: tuple[dict[str, Any], ...] = (COMPLETE,)
    batch_size: int = 256
    profile: bool = False
    graph: Path | None = None


def ours(request: Request) -> dict[str, Any]:
    """Returns what circuitbase took for a request."""
    return _run(Path(sys.executable), "attribution_ours.py", request)


def baseline(request: Request, environment: Path) -> dict[str, Any]:
    """Returns what circuit-tracer took for a request; its environment is made if it is not there."""
    return _run(baseline_python(environment), "attribution_baseline.py", request)


def baseline_python(environment: Path) -> Path:
    """Returns the Python that has circuit-tracer, which is installed if it lacks."""
    python = environment / "bin" / "python"
    stamp = environment / PACKAGE
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", PACKAGE], check=True)
        stamp.touch()
    return python


def _run(python: Path, script: str, request: Request) -> dict[str, Any]:
    threads = str(request.threads)
    environment = {
        **os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="circuitbase-bench-") as folder:
        path, out = Path(folder) / "request.json", Path(folder) / "out.json"
        path.write_text(json.dumps(_described(request, out)))
        command = [str(python), str(HERE / script), str(path)]
        ended = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
        if ended.returncode != 0:
            last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise SystemExit(f"{script} should trace the prompt, but ended with {ended.returncode}: {last}")
        found: dict[str, Any] = json.loads(out.read_text())
    return found


def _described(request: Request, out: Path) -> dict[str, Any]:
    """Returns the request as both runners read it."""
    return {
        "model": str(request.subject.model),
        "transcoders": str(request.subject.transcoders),
        "token_ids": list(request.token_ids),
        "threads": request.threads,
        "runs": request.runs,
        "batch_size": request.batch_size,
        "profile": request.profile,
        "graph": str(request.graph) if request.graph else None,
        "out": str(out),
    }
