"""Ports: which are free, and which to take when the wanted one is not."""

import socket
from collections.abc import Iterable

NEARBY = 100  # ports tried after a wanted one before the system picks any


def is_free(host: str, port: int) -> bool:
    """Returns whether a server could listen on (host, port) now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # a server that was killed leaves closing connections behind; they do not keep the port
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def accepts(host: str, port: int) -> bool:
    """Returns whether something accepts connections on (host, port) now."""
    try:
        with socket.create_connection((local_address(host), port), timeout=1):
            return True
    except OSError:
        return False


def local_address(host: str) -> str:
    """Returns the address at which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def host_and_port(host: str, port: int) -> str:
    """Returns host:port as URLs and configurations write it, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def any_free(host: str) -> int:
    """Returns a free port of the system's choice."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def free_port(host: str, wanted: int, *, taken: Iterable[int] = ()) -> int:
    """Returns `wanted` if it is free, else a free one near it; 0 wants any free port."""
    refused = set(taken)
    if wanted:
        for port in range(wanted, min(wanted + NEARBY, 65536)):
            if port not in refused and is_free(host, port):
                return port
    while True:
        port = any_free(host)
        if port not in refused:
            return port
