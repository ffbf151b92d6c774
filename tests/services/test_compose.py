"""Docker is not needed to run these: they read what Docker would."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from circuitbase.services.neo4j_server import CONFIGURATION

ROOT = Path(__file__).parents[2]


@pytest.fixture
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


def test_ports_are_bound_to_loopback(compose: dict[str, Any]):
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_servers_have_health_checks_and_named_volumes(compose: dict[str, Any]):
    for name in ("neo4j", "redis"):
        service = compose["services"][name]
        assert service["healthcheck"]["test"]
        assert all(volume.partition(":")[0] in compose["volumes"] for volume in service["volumes"])


def test_passwords_come_from_the_environment_and_are_required(compose: dict[str, Any]):
    text = (ROOT / "docker-compose.yml").read_text()
    variables = re.findall(r"(?<!\$)\$\{(\w+)(:\?)?", text)
    assert {name for name, _ in variables} == {"NEO4J_PASSWORD", "REDIS_PASSWORD"}
    assert all(required for _, required in variables)


def test_the_trace_worker_starts_only_with_the_gpu_profile(compose: dict[str, Any]):
    worker = compose["services"]["worker"]
    assert worker["profiles"] == ["gpu"]
    assert worker["deploy"]["resources"]["reservations"]["devices"][0]["driver"] == "nvidia"
    assert "profiles" not in compose["services"]["ingest"]


def test_neo4j_is_as_closed_in_docker_as_without(compose: dict[str, Any]):
    environment = compose["services"]["neo4j"]["environment"]
    in_docker = {
        name.removeprefix("NEO4J_").replace("__", "%").replace("_", ".").replace("%", "_"): value
        for name, value in environment.items()
    }
    private = dict(
        line.split("=", 1) for line in CONFIGURATION.splitlines() if "=" in line and not line.startswith("#")
    )
    shared = [
        name
        for name in private
        if name.startswith(("dbms.", "internal.dbms.cypher", "client.", "db.transaction", "db.lock"))
    ]
    assert {name: in_docker[name] for name in shared if name != "dbms.security.auth_enabled"} == {
        name: private[name] for name in shared if name != "dbms.security.auth_enabled"
    }


def test_the_image_does_not_run_as_root():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER circuitbase" in lines
    assert lines.index("USER circuitbase") < lines.index('CMD ["worker"]')
