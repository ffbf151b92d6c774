"""The driver's errors as the project's: one sentence, and whether repeating can help."""

from collections.abc import Iterator
from contextlib import contextmanager

from neo4j.exceptions import DriverError, Neo4jError

from circuitbase.errors import DatabaseError, ServiceError


@contextmanager
def database_failures(doing: str) -> Iterator[None]:
    """Raises ServiceError for what may pass by itself and DatabaseError for what will not.

    `doing` completes "Neo4j failed while ...". Transactions are whole: whatever failed wrote nothing.
    """
    try:
        yield
    except (DriverError, Neo4jError) as error:
        message = error.message if isinstance(error, Neo4jError) and error.message else str(error)
        reason = (message.splitlines() or [type(error).__name__])[0].rstrip(".")
        if isinstance(error, DriverError) and not error.is_retryable():
            raise  # a defect in how we use the driver
        if error.is_retryable():
            raise ServiceError(
                f"Neo4j failed while {doing} ({reason}); nothing was half written: "
                "see that it runs (`circuitbase doctor`), then repeat"
            ) from error
        raise DatabaseError(f"Neo4j refused {doing} ({reason}); nothing was written") from error
