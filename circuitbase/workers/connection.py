"""One verified Redis client, and one sentence for every way in which Redis can be away."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import redis
from kombu.exceptions import OperationalError

from circuitbase.errors import ServiceError
from circuitbase.ingest.certificate import redis_certificate_problem
from circuitbase.settings import Settings

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0

LOST = (redis.RedisError, OperationalError)


@contextmanager
def open_redis(settings: Settings) -> Iterator[redis.Redis]:
    """Yields a client whose server answers; Redis or broker errors in the block become ServiceError."""
    try:
        opened = redis_client(settings.redis_connection())
    except ValueError as error:
        raise ServiceError(
            f"CIRCUITBASE_REDIS_URL should be like redis://:PASSWORD@HOST:PORT/0, but cannot be read ({error})"
        ) from error
    with redis_errors(settings), opened as client:
        client.ping()
        yield client


def redis_client(url: str) -> redis.Redis:
    """Returns a client that answers with text and gives up waiting for a server that hangs."""
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
    )


@contextmanager
def redis_errors(settings: Settings) -> Iterator[None]:
    """Turns errors of the Redis client and of the broker into one ServiceError."""
    try:
        yield
    except LOST as error:
        raise ServiceError(redis_problem(settings, error)) from error


def redis_problem(settings: Settings, error: BaseException) -> str:
    """Returns the sentence that says what is wrong with Redis and what to do; no password in it."""
    private = settings.redis_url is None
    where = _address(settings.redis_connection())
    if any(word in str(error) for word in ("NOAUTH", "WRONGPASS", "invalid username-password", "Authentication")):
        remedy = "run `circuitbase up`" if private else "correct CIRCUITBASE_REDIS_URL (redis://:PASSWORD@HOST:PORT/0)"
        return f"Redis at {where} refuses the password; {remedy}"
    certificate = redis_certificate_problem(settings.redis_connection())
    if certificate is not None:
        return f"Redis at {where} {certificate}"
    remedy = "run `circuitbase up`" if private else "start it, or correct CIRCUITBASE_REDIS_URL"
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"Redis at {where} is not reachable ({first_line}); {remedy}"


def _address(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
