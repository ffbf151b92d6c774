"""Managed write transactions with their repetitions counted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from neo4j import ManagedTransaction, Session

T = TypeVar("T")


@dataclass(frozen=True)
class Written(Generic[T]):
    """What a transaction returned, and how often it was repeated (deadlock, lost connection)."""

    value: T
    retries: int


def write(session: Session, work: Callable[[ManagedTransaction], T]) -> Written[T]:
    """Runs `work` in one transaction, repeated by the driver where the server says that may help."""
    attempts = 0

    def counted(transaction: ManagedTransaction) -> T:
        nonlocal attempts
        attempts += 1
        return work(transaction)

    value = session.execute_write(counted)
    return Written(value, retries=attempts - 1)
