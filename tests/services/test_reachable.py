from collections.abc import Callable

import pytest

from circuitbase.errors import ServiceError
from circuitbase.services.ports import free_port
from circuitbase.services.reachable import ask_neo4j, check_neo4j, check_redis, redis_address
from circuitbase.settings import Settings, load_settings


def test_running_services_tell_their_versions(settings: Settings):
    assert check_neo4j(settings) == "5.26.29"
    assert check_redis(settings).count(".") == 2


def test_a_refused_neo4j_login_names_the_variables(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    # another user, since three wrong passwords would lock the real one for all tests
    monkeypatch.setenv("CIRCUITBASE_NEO4J_URI", settings.neo4j_connection()[0])
    monkeypatch.setenv("CIRCUITBASE_NEO4J_USER", "nobody")
    monkeypatch.setenv("CIRCUITBASE_NEO4J_PASSWORD", "guess")
    with pytest.raises(ServiceError, match=r"refuses the password of user nobody; correct CIRCUITBASE_NEO4J_USER or"):
        check_neo4j(load_settings())


@pytest.mark.parametrize("login", ["", ":guess@"])
def test_a_refused_redis_login_names_the_variable_and_not_the_password(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, login: str
):
    address = redis_address(settings.redis_connection())
    monkeypatch.setenv("CIRCUITBASE_REDIS_URL", address.replace("redis://", f"redis://{login}"))
    with pytest.raises(ServiceError, match=r"refuses the password; correct CIRCUITBASE_REDIS_URL") as caught:
        check_redis(load_settings())
    assert "guess" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "scheme", "check"),
    [("NEO4J_URI", "bolt", check_neo4j), ("REDIS_URL", "redis", check_redis)],
)
def test_a_service_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str, check: Callable[[Settings], str]
):
    address = f"{scheme}://127.0.0.1:{free_port('127.0.0.1', 0)}"
    monkeypatch.setenv(f"CIRCUITBASE_{variable}", address)
    with pytest.raises(
        ServiceError, match=rf"{address}\S* is not reachable .*; start it, or correct CIRCUITBASE_{variable}"
    ):
        check(load_settings())


@pytest.mark.parametrize(("variable", "check"), [("NEO4J_URI", check_neo4j), ("REDIS_URL", check_redis)])
def test_an_address_that_is_none_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, check: Callable[[Settings], str]
):
    monkeypatch.setenv(f"CIRCUITBASE_{variable}", "localhost:80")
    with pytest.raises(ServiceError, match=f"is not reachable .*correct CIRCUITBASE_{variable}"):
        check(load_settings())


@pytest.mark.parametrize("check", [check_neo4j, check_redis])
def test_without_any_service_up_is_the_remedy(check: Callable[[Settings], str]):
    with pytest.raises(ServiceError, match="run `circuitbase up`"):
        check(load_settings())


def test_a_database_that_does_not_exist_is_named(settings: Settings):
    uri, user, password = settings.neo4j_connection()
    answer = ask_neo4j(uri, user=user, password=password, database="nowhere")
    assert answer.state == "unreachable"
    assert "nowhere" in answer.detail
