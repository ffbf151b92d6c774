"""A TCP proxy on this machine that can be cut: connections are dropped, or nothing passes for a while."""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

HOST = "127.0.0.1"
CHUNK = 1 << 16
PATIENCE_SECONDS = 10.0


class Proxy:
    """Passes bytes between whoever connects to `port` and the server at `target`; lives in a thread of its own."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def cut(self, *, frozen: bool) -> None:
        """Cuts the way: frozen, connections stay and nothing passes; else they are dropped and new ones refused."""
        self._do(self._freeze() if frozen else self._drop())

    def mend(self) -> None:
        """Opens the way again; what was frozen goes on, at the same port."""
        self._do(self._open())

    def connections(self) -> int:
        """Returns how many connections there are."""
        return len(self._connections)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._pass, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]
        self._flowing.set()

    async def _freeze(self) -> None:
        self._flowing.clear()

    async def _drop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            with suppress(OSError):
                await self._between(reader, writer)
            writer.close()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._connections.discard(connection)

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        from_server, to_server = await asyncio.open_connection(HOST, self.target)
        ways = [
            asyncio.ensure_future(self._pump(reader, to_server)),
            asyncio.ensure_future(self._pump(from_server, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            to_server.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()


@contextmanager
def open_proxy(target: int) -> Iterator[Proxy]:
    """Yields a proxy before a port of this machine."""
    proxy = Proxy(target)
    thread = threading.Thread(target=proxy._loop.run_forever, name=f"proxy of {target}", daemon=True)
    thread.start()
    try:
        proxy.mend()
        yield proxy
    finally:
        proxy.cut(frozen=False)
        proxy._loop.call_soon_threadsafe(proxy._loop.stop)
        thread.join()
        proxy._loop.close()


def reaches(port: int) -> bool:
    """Returns whether something accepts connections at a port of this machine."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
