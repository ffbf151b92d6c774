"""Listening on another address than this machine's own: what is refused, and what is said.

The private services speak no TLS. A Neo4j or Redis that does is one of the user's own, reached by
`neo4j+s://` and `rediss://` in the settings.
"""

from ipaddress import ip_address

from circuitbase.errors import ServiceError
from circuitbase.services.service import Service

LOOPBACK = "127.0.0.1"
LEAST_PASSWORD = 16  # characters; a generated one has 48


def is_loopback(address: str) -> bool:
    """Returns whether only this machine reaches what listens on an address."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def warning(address: str) -> str:
    """Returns what somebody who lets other hosts in has to know."""
    return (
        f"Whoever reaches {address} can try passwords; connections are not encrypted, since the private services "
        "speak no TLS. On a network that others use, leave them at 127.0.0.1 and open an SSH tunnel from the other "
        "host: ssh -N -L 7687:127.0.0.1:7687 -L 6379:127.0.0.1:6379 HOST"
    )


def refuse_weak_password(service: Service, address: str) -> None:
    """Raises ServiceError if other hosts would reach a service whose password is missing or can be guessed."""
    if is_loopback(address) or len(service.password()) >= LEAST_PASSWORD:
        return
    raise ServiceError(
        f"{service.title} would listen on {address} with a password of {len(service.password())} characters, where at "
        f"least {LEAST_PASSWORD} are needed; set a longer one, or leave out --listen"
    )
