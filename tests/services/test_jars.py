import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import pytest

from circuitbase.errors import ServiceError
from circuitbase.services.jars import (
    LOCK_FILE,
    NEO4J_VERSION,
    Jar,
    fetch,
    jar_folder,
    locked_jars,
    maven_url,
    missing_jars,
)
from circuitbase.services.lock import WANTED
from circuitbase.settings import Settings, load_settings


class CountingHandler(SimpleHTTPRequestHandler):
    requested: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.requested[self.path.rpartition("/")[2]] += 1
        super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serves a folder as a Maven repository and makes the settings name it as the mirror."""
    folder = tmp_path / "repository"
    folder.mkdir()
    CountingHandler.requested.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(CountingHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("CIRCUITBASE_MAVEN_URL", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("CIRCUITBASE_CACHE", str(tmp_path / "cache"))
        yield folder
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(repository: Path) -> Settings:
    return load_settings()


def publish(repository: Path, name: str) -> Jar:
    content = name.encode() * 1000
    jar = Jar(f"org.example:{name}:1.0", hashlib.sha256(content).hexdigest(), len(content))
    path = repository / jar.repository_path
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return jar


def test_the_lock_holds_every_wanted_jar_and_no_address():
    jars = locked_jars()
    assert set(WANTED) <= {jar.coordinates for jar in jars}
    assert len({jar.file_name for jar in jars}) == len(jars) == 224
    assert all(len(bytes.fromhex(jar.sha256)) == 32 and jar.size > 0 for jar in jars)
    assert "://" not in files("circuitbase.services").joinpath(LOCK_FILE).read_text()


def test_a_classifier_is_part_of_the_file_name():
    jar = Jar("io.netty:netty-transport:4.1:linux-x86_64", "", 0)
    assert jar.repository_path == "io/netty/netty-transport/4.1/netty-transport-4.1-linux-x86_64.jar"


def test_without_a_mirror_the_address_is_jgos():
    from jgo.constants import MAVEN_CENTRAL_URL

    assert maven_url(load_settings()) == MAVEN_CENTRAL_URL


def test_jars_are_fetched_once_and_progress_ends_at_the_total(repository: Path, settings: Settings):
    jars, shown = [publish(repository, name) for name in ("one", "two", "three")], []
    assert fetch(settings, jars=jars, progress=lambda done, total: shown.append((done, total))) == 3
    total = sum(jar.size for jar in jars)
    assert (shown[0], shown[-1]) == ((0, total), (total, total))
    assert fetch(settings, jars=jars) == 0
    assert set(CountingHandler.requested.values()) == {1}
    assert jar_folder(settings) == settings.cache / f"neo4j-{NEO4J_VERSION}" / "lib"


def test_a_jar_whose_digest_does_not_match_stops_the_fetch_and_is_not_kept(repository: Path, settings: Settings):
    good, bad = publish(repository, "good"), publish(repository, "bad")
    (repository / bad.repository_path).write_bytes(b"altered on the way")
    with pytest.raises(ServiceError, match=r"^bad-1\.0\.jar should have SHA-256 .* it was not kept"):
        fetch(settings, jars=[bad])
    assert not list(jar_folder(settings).glob("*bad*"))
    assert fetch(settings, jars=[good]) == 1


def test_an_interrupted_fetch_continues_with_what_is_missing(repository: Path, settings: Settings):
    there = publish(repository, "there")
    late = Jar("org.example:late:1.0", hashlib.sha256(b"late" * 1000).hexdigest(), 4000)
    with pytest.raises(ServiceError, match=r"late-1\.0\.jar cannot be fetched \(status 404"):
        fetch(settings, jars=[there, late])
    assert publish(repository, "late") == late
    assert fetch(settings, jars=[there, late]) >= 1
    assert missing_jars(jar_folder(settings), [there, late]) == []
    assert CountingHandler.requested["there-1.0.jar"] == 1


def test_a_jar_altered_on_disk_is_fetched_again(repository: Path, settings: Settings):
    jar = publish(repository, "jar")
    fetch(settings, jars=[jar])
    path = jar_folder(settings) / jar.file_name
    path.write_bytes(b"x" * jar.size)
    assert missing_jars(jar_folder(settings), [jar]) == [jar]
    assert fetch(settings, jars=[jar]) == 1
    assert hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256


def test_a_repository_that_is_not_reachable_is_named_with_a_remedy(repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("circuitbase.services.download.RETRIES", False)
    monkeypatch.setenv("CIRCUITBASE_MAVEN_URL", "http://127.0.0.1:9")
    with pytest.raises(ServiceError, match=r"cannot be fetched \(.*refused.*CIRCUITBASE_MAVEN_URL"):
        fetch(load_settings(), jars=[Jar("org.example:jar:1.0", "0" * 64, 1)])
