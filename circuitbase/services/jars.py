"""The jars of Neo4j: which ones (a committed lock of coordinates and SHA-256), fetched and verified.

The lock names no repository. Jars come from the Maven repository that jgo uses, or from the mirror
in `CIRCUITBASE_MAVEN_URL`; whatever delivers them, only the bytes in the lock are accepted.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from circuitbase.errors import ServiceError
from circuitbase.services.download import THREADS, download
from circuitbase.services.exclusive import exclusive
from circuitbase.settings import Settings

NEO4J_VERSION = "5.26.29"
LOCK_FILE = "jars.lock.json"

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class Jar:
    """One jar of the lock; `coordinates` are group:artifact:version, or with :classifier."""

    coordinates: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """Returns the file's name in a Maven repository."""
        return "-".join(self.coordinates.split(":")[1:]) + ".jar"

    @property
    def repository_path(self) -> str:
        """Returns the file's path in a Maven repository."""
        group, artifact, version = self.coordinates.split(":")[:3]
        return f"{group.replace('.', '/')}/{artifact}/{version}/{self.file_name}"


def locked_jars(lock: Path | None = None) -> list[Jar]:
    """Returns the jars of the lock, in its order."""
    text = lock.read_text() if lock else files("circuitbase.services").joinpath(LOCK_FILE).read_text()
    return [Jar(**entry) for entry in json.loads(text)["jars"]]


def jar_folder(settings: Settings) -> Path:
    """Returns the folder that holds the verified jars, shared by all private Neo4j of a user."""
    return settings.cache / f"neo4j-{NEO4J_VERSION}" / "lib"


def maven_url(settings: Settings) -> str:
    """Returns the address of the Maven repository, without a slash at its end."""
    if settings.maven_url:
        return settings.maven_url.rstrip("/")
    from jgo.constants import MAVEN_CENTRAL_URL  # half a second of imports, for downloads only

    return str(MAVEN_CENTRAL_URL)


def missing_jars(folder: Path, jars: Iterable[Jar]) -> list[Jar]:
    """Returns the jars that are absent, or whose bytes are not the locked ones.

    What was hashed once is recognised by size and modification time, so that this takes
    milliseconds when nothing changed.
    """
    known = _verified(folder)
    missing = []
    for jar in jars:
        path = folder / jar.file_name
        if not path.exists():
            missing.append(jar)
        elif known.get(jar.file_name) != _identity(path, jar.sha256):
            if sha256_of(path) == jar.sha256:
                known[jar.file_name] = _identity(path, jar.sha256)
            else:
                missing.append(jar)
    _write_verified(folder, known)
    return missing


def fetch(settings: Settings, *, jars: list[Jar] | None = None, progress: Progress | None = None) -> int:
    """Fetches what is missing with eight threads and returns how many jars that were.

    Each jar is verified before it gets its name, so a fetch can be interrupted and continued.
    Raises ServiceError for a jar that cannot be had, or whose digest is not the locked one.
    """
    jars = locked_jars() if jars is None else jars
    folder = jar_folder(settings)
    with exclusive(folder.parent / "fetch.lock"):
        missing = missing_jars(folder, jars)
        if missing:
            folder.mkdir(parents=True, exist_ok=True)
            _fetch_all(missing, folder, maven_url(settings), progress)
            missing_jars(folder, jars)
    return len(missing)


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_all(jars: list[Jar], folder: Path, base: str, progress: Progress | None) -> None:
    done, total = 0, sum(jar.size for jar in jars)
    if progress is not None:
        progress(0, total)
    with ThreadPoolExecutor(THREADS) as pool:
        pending = [pool.submit(_fetch_one, jar, folder, base) for jar in jars]
        try:
            for finished in as_completed(pending):
                done += finished.result().size
                if progress is not None:
                    progress(done, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_one(jar: Jar, folder: Path, base: str) -> Jar:
    content = download(f"{base}/{jar.repository_path}")
    found = hashlib.sha256(content).hexdigest()
    if found != jar.sha256:
        raise ServiceError(
            f"{jar.file_name} should have SHA-256 {jar.sha256} but what was fetched has {found}; "
            "it was not kept: the repository or the connection altered it, so try another network or mirror"
        )
    temporary = folder / f".{jar.file_name}.{secrets.token_hex(4)}"
    try:
        temporary.write_bytes(content)
        temporary.replace(folder / jar.file_name)
    except OSError as error:
        raise ServiceError(f"{folder / jar.file_name} cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return jar


def _identity(path: Path, sha256: str) -> list[int | str]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, sha256]


def _verified(folder: Path) -> dict[str, list[int | str]]:
    try:
        known: dict[str, list[int | str]] = json.loads((folder / "verified.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return known


def _write_verified(folder: Path, known: dict[str, list[int | str]]) -> None:
    if known and known != _verified(folder):
        temporary = folder / f".verified.{secrets.token_hex(4)}"
        temporary.write_text(json.dumps(known))
        temporary.replace(folder / "verified.json")
