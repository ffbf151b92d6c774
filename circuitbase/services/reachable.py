"""Whether Neo4j and Redis answer, and one sentence about what to do if not."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from circuitbase.errors import ServiceError
from circuitbase.ingest.certificate import neo4j_certificate_problem, redis_certificate_problem
from circuitbase.settings import Settings

TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Answer:
    """What a service did when asked; `detail` is its version, or why it did not answer."""

    state: Literal["answers", "refuses", "unreachable"]
    detail: str


def ask_neo4j(uri: str, *, user: str, password: str, database: str) -> Answer:
    """Asks Neo4j for its version, waiting a few seconds at most."""
    from neo4j import GraphDatabase
    from neo4j.exceptions import AuthError, ConfigurationError, DriverError, Neo4jError

    try:
        with (
            GraphDatabase.driver(
                uri,
                auth=(user, password),
                connection_timeout=TIMEOUT_SECONDS,
                connection_acquisition_timeout=2 * TIMEOUT_SECONDS,
            ) as driver,
            driver.session(database=database) as session,
        ):
            found = session.run("CALL dbms.components() YIELD versions RETURN versions[0] AS version").single(
                strict=True
            )
            return Answer("answers", str(found["version"]))
    except AuthError as error:
        return Answer("refuses", _first_line(error))
    except (ConfigurationError, DriverError, Neo4jError, OSError, ValueError) as error:
        return Answer("unreachable", _first_line(error))


def ask_redis(url: str) -> Answer:
    """Asks Redis for its version, waiting a few seconds at most."""
    import redis

    try:
        with redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
        ) as client:
            return Answer("answers", str(client.info("server")["redis_version"]))
    except redis.AuthenticationError as error:
        return Answer("refuses", _first_line(error))
    except (redis.RedisError, OSError, ValueError) as error:
        refused = "NOAUTH" in str(error) or "WRONGPASS" in str(error)
        return Answer("refuses" if refused else "unreachable", _first_line(error))


def check_neo4j(settings: Settings) -> str:
    """Returns Neo4j's version; raises ServiceError if it cannot be reached or refuses the password."""
    uri, user, password = settings.neo4j_connection()
    answer = ask_neo4j(uri, user=user, password=password, database=settings.neo4j_database)
    match answer.state:
        case "answers":
            return answer.detail
        case "refuses" if settings.uses_private_services:
            raise ServiceError(
                f"Neo4j at {uri} refuses the password of user {user}; if it was changed, write the new one "
                f"into {settings.home / 'neo4j' / 'password'} and run `circuitbase up`"
            )
        case "refuses":
            raise ServiceError(
                f"Neo4j at {uri} refuses the password of user {user}; "
                "correct CIRCUITBASE_NEO4J_USER or CIRCUITBASE_NEO4J_PASSWORD"
            )
    certificate = neo4j_certificate_problem(uri)
    if certificate is not None:
        raise ServiceError(f"Neo4j at {uri} {certificate}")
    remedy = "run `circuitbase up`" if settings.uses_private_services else "start it, or correct CIRCUITBASE_NEO4J_URI"
    raise ServiceError(f"Neo4j at {uri} is not reachable ({answer.detail}); {remedy}")


def check_redis(settings: Settings) -> str:
    """Returns Redis's version; raises ServiceError if it cannot be reached or refuses the password."""
    url = settings.redis_connection()
    answer = ask_redis(url)
    if answer.state == "answers":
        return answer.detail
    where = redis_address(url)
    private = settings.redis_url is None
    if answer.state == "refuses":
        remedy = "run `circuitbase up`" if private else "correct CIRCUITBASE_REDIS_URL (redis://:PASSWORD@HOST:PORT/0)"
        raise ServiceError(f"Redis at {where} refuses the password; {remedy}")
    certificate = redis_certificate_problem(url)
    if certificate is not None:
        raise ServiceError(f"Redis at {where} {certificate}")
    remedy = "run `circuitbase up`" if private else "start it, or correct CIRCUITBASE_REDIS_URL"
    raise ServiceError(f"Redis at {where} is not reachable ({answer.detail}); {remedy}")


def redis_address(url: str) -> str:
    """Returns a Redis URL without user and password, to be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
