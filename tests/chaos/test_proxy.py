"""The proxy by itself, before a server that answers with what it is told."""

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import HOST, Proxy, open_proxy, reaches
from tests.workers.running import eventually

SECONDS = 0.2  # for bytes that should not come


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(1024):
            self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socketserver.ThreadingTCPServer((HOST, 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            with open_proxy(server.server_address[1]) as opened:
                yield opened
        finally:
            server.shutdown()
            thread.join()


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), timeout=5)


def echo(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    return connection.recv(1024)


def is_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1024) == b""
    except ConnectionResetError:
        return True


def test_bytes_pass_in_both_directions(proxy: Proxy) -> None:
    with connected(proxy) as one, connected(proxy) as other:
        assert echo(one, b"alpha") == b"alpha"
        assert echo(other, b"beta") == b"beta"
        assert proxy.connections() == 2
    eventually(lambda: proxy.connections() == 0, seconds=5)


def test_a_cut_drops_connections_and_refuses_new_ones_until_it_is_mended(proxy: Proxy) -> None:
    with connected(proxy) as connection:
        assert echo(connection, b"alpha") == b"alpha"
        proxy.cut(frozen=False)
        assert is_ended(connection)
    assert not reaches(proxy.port)
    proxy.mend()
    with connected(proxy) as connection:
        assert echo(connection, b"beta") == b"beta"


def test_a_frozen_connection_goes_on_where_it_was(proxy: Proxy) -> None:
    with connected(proxy) as connection:
        assert echo(connection, b"alpha") == b"alpha"
        proxy.cut(frozen=True)
        connection.sendall(b"beta")
        connection.settimeout(SECONDS)
        with pytest.raises(TimeoutError):
            connection.recv(1024)
        with connected(proxy) as late:
            late.sendall(b"gamma")
            proxy.mend()
            for waiting, text in ((connection, b"beta"), (late, b"gamma")):
                waiting.settimeout(5)
                assert waiting.recv(1024) == text


def test_a_connection_to_a_server_that_is_gone_ends() -> None:
    with open_proxy(1) as before_nothing, connected(before_nothing) as connection:
        assert is_ended(connection)
