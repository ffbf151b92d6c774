"""TLS in front of a server that has none: what a client sends is decrypted and passed on."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import trustme

HOST = "localhost"


@dataclass(frozen=True)
class Authority:
    """An authority that signs certificates; `file` is its own, which clients trust."""

    ca: trustme.CA
    file: Path

    def server_context(self, *names: str) -> ssl.SSLContext:
        """Returns what a server of these names needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names).configure_cert(context)
        return context


def made_authority(folder: Path, name: str) -> Authority:
    """Returns an authority that nobody trusts yet, with its file in the folder."""
    ca = trustme.CA(organization_name=name)
    file = folder / f"{name}.pem"
    ca.cert_pem.write_to_path(str(file))
    return Authority(ca, file)


@contextmanager
def tls_in_front(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """Yields a port of this machine that speaks TLS and passes everything on to `port`."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # a client that refuses the certificate is what a test wants
    started: Queue[int] = Queue()
    ended = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(_serve(port, context, started, ended)), name="tls")
    thread.start()
    try:
        yield started.get(timeout=60)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


async def _serve(port: int, context: ssl.SSLContext, started: "Queue[int]", ended: asyncio.Event) -> None:
    open_connections: set[asyncio.Task[None]] = set()

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        behind, to_behind = await asyncio.open_connection("127.0.0.1", port)
        pumps = [asyncio.ensure_future(pump) for pump in (_pump(reader, to_behind), _pump(behind, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for each in (writer, to_behind):
                each.transport.abort()
            await asyncio.gather(*pumps, return_exceptions=True)
            open_connections.discard(task)

    server = await asyncio.start_server(passed_on, HOST, 0, family=socket.AF_INET, ssl=context)
    started.put(server.sockets[0].getsockname()[1])
    await ended.wait()
    server.close()
    for task in set(open_connections):
        task.cancel()
    await asyncio.gather(*open_connections, return_exceptions=True)
    await server.wait_closed()
    await asyncio.sleep(0.1)  # until the transports have closed their sockets


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes on what comes until there is no more."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
