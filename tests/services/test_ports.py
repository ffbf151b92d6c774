import socket
from collections.abc import Iterator

import pytest

from circuitbase.services.ports import accepts, free_port, host_and_port, is_free, local_address

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_not_free(taken: int):
    assert not is_free(HOST, taken)
    assert accepts(HOST, taken)


def test_a_free_wanted_port_is_taken(taken: int):
    wanted = free_port(HOST, 0)
    assert free_port(HOST, wanted) == wanted
    assert not accepts(HOST, wanted)


def test_a_wanted_port_in_use_gives_way_to_one_above(taken: int):
    assert free_port(HOST, taken) > taken


def test_a_port_promised_to_another_is_not_given_twice():
    wanted = free_port(HOST, 0)
    assert free_port(HOST, wanted, taken=[wanted]) != wanted


def test_addresses_are_written_as_urls_write_them():
    assert host_and_port("::1", 7687) == "[::1]:7687"
    assert host_and_port(HOST, 7687) == "127.0.0.1:7687"
    assert [local_address(host) for host in ("0.0.0.0", "::", "10.0.0.7")] == [HOST, "::1", "10.0.0.7"]
