from pathlib import Path

import psutil
import pytest
from neo4j import READ_ACCESS, Driver
from neo4j.exceptions import ClientError

from circuitbase import services
from circuitbase.errors import ServiceError
from circuitbase.services import processes
from circuitbase.settings import Settings


def pids(settings: Settings) -> dict[str, int]:
    return {entry.name: entry.pid for entry in processes.recorded(settings) if entry.running}


def test_up_finds_running_services_and_starts_nothing(settings: Settings):
    before, said = pids(settings), []
    connection = services.up(settings, say=said.append)
    assert pids(settings) == before
    assert said == ["Neo4j is running", "Redis is running"]
    assert connection.neo4j_uri == settings.neo4j_connection()[0]


def test_up_on_another_address_asks_for_down_first(settings: Settings):
    with pytest.raises(
        ServiceError, match=r"already listens on 127\.0\.0\.1, not on 0\.0\.0\.0; run `circuitbase down`"
    ):
        services.up(settings, listen="0.0.0.0")


def test_files_with_secrets_belong_to_their_owner_alone(settings: Settings):
    home = settings.home
    secret = ["connection.json", "neo4j/password", "redis/password", "redis/redis.conf", "processes.json"]
    assert {name: oct((home / name).stat().st_mode & 0o777) for name in secret} == dict.fromkeys(secret, "0o600")
    assert oct((home / "neo4j").stat().st_mode & 0o777) == "0o700"
    assert oct((home / "redis").stat().st_mode & 0o777) == "0o700"
    assert not (home / "neo4j" / "conf" / "initial-password").exists()


def test_no_secret_is_on_a_command_line(settings: Settings):
    secrets = [(settings.home / room / "password").read_text().strip() for room in ("neo4j", "redis")]
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert any("CommunityEntryPoint" in line for line in lines)
    assert not [line for line in lines for secret in secrets if secret in line]


def test_a_connection_does_not_show_its_passwords(settings: Settings):
    connection = services.up(settings)
    assert connection.neo4j_password not in repr(connection)
    assert connection.redis_url not in repr(connection)


def test_services_listen_on_loopback_only(settings: Settings):
    for pid in pids(settings).values():
        listening = [c for c in psutil.Process(pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {"127.0.0.1"}


@pytest.mark.parametrize(
    "what", ["file:///etc/passwd", "http://localhost/x.csv", "http://[::1]/x.csv", "https://192.0.2.1/"]
)
def test_load_csv_of_files_and_addresses_is_refused(database: Driver, what: str):
    with (
        database.session(default_access_mode=READ_ACCESS) as session,
        pytest.raises(ClientError, match=r"allow_csv_import_from_file_urls|cypher_ip_blocklist"),
    ):
        session.run("LOAD CSV FROM $what AS row RETURN row", what=what).consume()


def test_only_verified_jars_are_on_the_class_path(settings: Settings):
    process = psutil.Process(pids(settings)["neo4j"])
    class_path = [Path(entry) for entry in process.environ()["CLASSPATH"].split(":")]
    assert {jar.parent for jar in class_path} == {settings.cache / "neo4j-5.26.29" / "lib"}
    assert len(class_path) == 224
