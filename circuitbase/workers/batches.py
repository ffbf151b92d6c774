"""Streams cut into lists, so that look-ups and publishing take one round trip for many."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batches(items: Iterable[T], *, size: int) -> Iterator[list[T]]:
    """Yields the items in lists of `size`, the last one shorter."""
    stream = iter(items)
    while batch := list(islice(stream, size)):
        yield batch
