"""What a process keeps loaded between tasks: least recently used out first, within a number of bytes."""

import gc
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
from pydantic import ByteSize

from circuitbase.errors import ModelError
from circuitbase.workers.measured import LOADING, timed

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass
class _Kept:
    value: Any
    size: int
    users: int = 0


class KeptInMemory:
    """Models and dictionaries that were loaded, with room for `budget` bytes of their tensors.

    Room is made when something was loaded and does not fit: by dropping what was used longest ago. What
    is in use is never dropped, even where it exceeds the budget, and then stays until something else is loaded.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    @property
    def size(self) -> int:
        """Returns the bytes of everything that is kept."""
        return sum(each.size for each in self._kept.values())

    @contextmanager
    def using(self, key: Hashable, load: Callable[[], T], *, what: str) -> Iterator[T]:
        """Yields what `load` returned for this key, now or before; it is in use inside the block.

        `what` is what the log calls it. Raises ModelError if there is no memory for it.
        """
        is_new = key not in self._kept
        if is_new:
            with timed(LOADING):
                value = self._loaded(load, what)
            self._kept[key] = _Kept(value, tensor_bytes(value))
        self._kept.move_to_end(key)
        kept = self._kept[key]
        kept.users += 1
        try:
            if is_new:
                self._make_room(what, kept)
            yield kept.value
        finally:
            kept.users -= 1

    def drop_unused(self) -> bool:
        """Drops all that is not in use; returns whether there was any."""
        return self._drop_down_to(0)

    def _loaded(self, load: Callable[[], T], what: str) -> T:
        """Returns what `load` does; out of memory, it drops all that is not in use and tries once more."""
        import torch

        try:
            return load()
        except torch.cuda.OutOfMemoryError:
            log.warning("there is no memory for %s; dropping what no job uses", what)
        self.drop_unused()  # not in the except block, whose traceback holds what was loaded so far
        try:
            return load()
        except torch.cuda.OutOfMemoryError as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(
                f"{what} does not fit into the device's memory beside the {readable(self.size)} in use ({reason}); "
                "take a smaller dtype or a larger device"
            ) from error

    def _make_room(self, what: str, new: _Kept) -> None:
        self._drop_down_to(self.budget)
        if new.size > self.budget:
            log.warning(
                "%s takes %s, more than the %s that models may take (CIRCUITBASE_MODEL_MEMORY); it is kept until "
                "another is loaded",
                what,
                readable(new.size),
                readable(self.budget),
            )

    def _drop_down_to(self, budget: int) -> bool:
        """Drops what no job uses, used longest ago first, until the rest takes at most `budget` bytes."""
        dropped = False
        for key in list(self._kept):
            if self.size <= budget:
                break
            if not self._kept[key].users:
                del self._kept[key]
                dropped = True
        if dropped:
            gc.collect()  # modules refer to each other, and their memory is wanted now
        return dropped


def device_memory(device: str) -> int:
    """Returns the bytes of a device's whole memory, used or not; the machine's for `cpu`."""
    import torch

    place = torch.device(device)
    if place.type == "cuda":
        return int(torch.cuda.mem_get_info(place)[1])
    return int(psutil.virtual_memory().total)


def tensor_bytes(value: Any) -> int:
    """Returns the bytes that the tensors of a model or a dictionary take; what stays in its file takes none."""
    storages = (tensor.untyped_storage() for tensor in _tensors(value))
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def readable(size: int) -> str:
    """Returns a number of bytes as people write it."""
    return ByteSize(size).human_readable()


def _tensors(value: Any) -> "Iterator[Tensor]":
    from torch import Tensor, nn

    from circuitbase.tracing.rows import LazyRows

    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, nn.Module):
        yield from value.parameters()
        yield from value.buffers()
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)
    elif is_dataclass(value) and not isinstance(value, LazyRows):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name))
