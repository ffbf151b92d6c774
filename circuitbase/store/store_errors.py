"""One sentence for every way in which a store can fail, and which of them pass by themselves.

Each package of fsspec raises errors of its own beside OSError; none of them is imported here, for
whoever has one in hand has loaded its package.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from circuitbase.errors import CircuitbaseError, StoreError

TOO_MANY_REQUESTS = 429
AWAY = {  # a server that cannot be reached, is too slow, or hangs up
    "botocore.exceptions": ("ConnectionError", "HTTPClientError", "IncompleteReadError"),
    "aiohttp": ("ClientConnectionError", "ClientPayloadError"),
}
UNTRUSTED = {"botocore.exceptions": ("SSLError",), "aiohttp": ("ClientSSLError",)}
UNKNOWN = {"botocore.exceptions": ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError")}


@contextmanager
def store_errors(what: str, remedy: str) -> Iterator[None]:
    """Turns whatever goes wrong into a StoreError that says `what`, why, and what to do."""
    try:
        yield
    except (CircuitbaseError, MemoryError):
        raise
    except Exception as error:
        raise StoreError(f"{what} ({_reason(error)}); {_better_remedy(error) or remedy}") from error


def will_pass(error: BaseException) -> bool:
    """Returns whether an error is one of an object store that is away or too busy; the next attempt may work."""
    if _is_any(error, UNTRUSTED):
        return False
    if _is_any(error, AWAY):
        return True
    status = _status(error)
    return status is not None and (status == TOO_MANY_REQUESTS or status >= 500)


def _status(error: BaseException) -> int | None:
    """Returns the HTTP status with which S3 refused a request."""
    response = getattr(error, "response", None)
    found = response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
    return found if isinstance(found, int) else None


def _is_any(error: BaseException, classes: Mapping[str, Sequence[str]]) -> bool:
    """Returns whether an error is of one of these classes, by module; no error is of a module that is not loaded."""
    return any(
        isinstance(error, getattr(sys.modules[module], name))
        for module, names in classes.items()
        if module in sys.modules
        for name in names
    )


def _better_remedy(error: BaseException) -> str | None:
    if isinstance(error, PermissionError) or _is_any(error, UNKNOWN):
        return "check its credentials, and who may read and write there"
    cause = error.__cause__
    if will_pass(error) or (cause is not None and will_pass(cause)):
        return "check that its server answers"
    return None


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0].rstrip(".")
