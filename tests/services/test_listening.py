from pathlib import Path

import pytest

from circuitbase import services
from circuitbase.errors import ServiceError
from circuitbase.services.listening import is_loopback, refuse_weak_password, warning
from circuitbase.services.private_files import write_private
from circuitbase.services.redis_server import RedisServer
from circuitbase.settings import Settings


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("node7", False),
    ],
)
def test_only_addresses_of_this_machine_are_loopback(address: str, own: bool) -> None:
    assert is_loopback(address) == own


def test_a_short_password_is_good_enough_for_this_machine_only(tmp_path: Path) -> None:
    server = RedisServer(Settings(home=tmp_path))
    refuse_weak_password(server, "0.0.0.0")  # it has generated a long one
    write_private(server.home / "password", "short\n")
    refuse_weak_password(server, "127.0.0.1")
    with pytest.raises(ServiceError, match=r"Redis would listen on 0\.0\.0\.0 with a password of 5 characters"):
        refuse_weak_password(server, "0.0.0.0")


@pytest.mark.parametrize("password", ["", "short"])
def test_up_starts_nothing_for_other_hosts_without_a_password(tmp_path: Path, password: str) -> None:
    given = Settings(home=tmp_path, neo4j_uri="bolt://127.0.0.1:1")
    write_private(tmp_path / "redis" / "password", password + "\n")
    with pytest.raises(ServiceError, match="set a longer one, or leave out --listen"):
        services.up(given, listen="0.0.0.0")
    assert not (tmp_path / "processes.json").exists()


def test_the_warning_shows_the_tunnel() -> None:
    assert "not encrypted" in warning("0.0.0.0") and "ssh -N -L" in warning("0.0.0.0")
