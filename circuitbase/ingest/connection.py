"""Opening the database: a driver that has proved it can read, or one sentence about why not."""

from urllib.parse import urlsplit

from neo4j import Driver, GraphDatabase, NotificationMinimumSeverity
from neo4j.exceptions import AuthError, ClientError, ConfigurationError, DriverError, Neo4jError

from circuitbase.errors import ServiceError
from circuitbase.ingest.certificate import neo4j_certificate_problem
from circuitbase.settings import Settings

SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")
CONNECT_SECONDS = 10.0
# Two writers of the largest traces wait up to 20 seconds for each other.
RETRY_SECONDS = 120.0
IDLE_SECONDS = 300.0

DATABASE_NOT_FOUND = "Neo.ClientError.Database.DatabaseNotFound"
TOO_MANY_ATTEMPTS = "Neo.ClientError.Security.AuthenticationRateLimit"


def open_driver(settings: Settings) -> Driver:
    """Returns a driver that has read from the database of `settings`; the caller closes it.

    Raises ServiceError if Neo4j is unreachable, refuses the password or lacks the database.
    """
    uri, user, password = settings.neo4j_connection()
    if urlsplit(uri).scheme not in SCHEMES:
        raise _unusable(uri, f"it should begin with {', '.join(SCHEMES)}")
    try:
        driver = GraphDatabase.driver(
            uri,
            auth=(user, password),
            connection_timeout=CONNECT_SECONDS,
            max_transaction_retry_time=RETRY_SECONDS,
            liveness_check_timeout=IDLE_SECONDS,
            notifications_min_severity=NotificationMinimumSeverity.OFF,
            telemetry_disabled=True,
            user_agent="circuitbase",
        )
    except (ConfigurationError, ValueError) as error:
        raise _unusable(uri, _first_line(error)) from error
    try:
        with driver.session(database=settings.neo4j_database) as session:
            session.run("RETURN 1 AS one").consume()
    except (DriverError, Neo4jError, OSError, ValueError) as error:
        driver.close()
        raise _refusal(error, settings, address(uri), user) from error
    except BaseException:
        driver.close()
        raise
    return driver


def address(uri: str) -> str:
    """Returns the URI without a user and password that may stand in it, to be shown."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else uri.rpartition("@")[2]


def _unusable(uri: str, reason: str) -> ServiceError:
    return ServiceError(
        f"the Neo4j address {address(uri)} cannot be used ({reason}); "
        "give CIRCUITBASE_NEO4J_URI as bolt://HOST:PORT or neo4j+s://HOST"
    )


def _refusal(error: Exception, settings: Settings, where: str, user: str) -> ServiceError:
    private = settings.uses_private_services
    code = error.code if isinstance(error, Neo4jError) else None
    if code == TOO_MANY_ATTEMPTS:
        return ServiceError(
            f"Neo4j at {where} got too many wrong passwords for user {user} and refuses more for a few seconds; "
            "correct CIRCUITBASE_NEO4J_PASSWORD, then wait and repeat"
        )
    if isinstance(error, AuthError):
        remedy = (
            f"write the right one into {settings.home / 'neo4j' / 'password'} and run `circuitbase up`"
            if private
            else "correct CIRCUITBASE_NEO4J_USER or CIRCUITBASE_NEO4J_PASSWORD"
        )
        return ServiceError(f"Neo4j at {where} refuses the password of user {user}; {remedy}")
    if code == DATABASE_NOT_FOUND:
        return ServiceError(
            f"Neo4j at {where} has no database {settings.neo4j_database!r}; "
            "correct CIRCUITBASE_NEO4J_DATABASE (Community edition has one: neo4j)"
        )
    if isinstance(error, ClientError):
        return ServiceError(
            f"Neo4j at {where} answers, but refuses to read from database {settings.neo4j_database!r} "
            f"({_first_line(error)}); let user {user} read and write it"
        )
    certificate = neo4j_certificate_problem(settings.neo4j_connection()[0])
    if certificate is not None:
        return ServiceError(f"Neo4j at {where} {certificate}")
    remedy = "run `circuitbase up`" if private else "start it, or correct CIRCUITBASE_NEO4J_URI"
    return ServiceError(f"Neo4j at {where} is not reachable ({_first_line(error)}); {remedy}")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
