"""A process that ran out of its machine's memory and lives: how to tell, and how to let go of what it held."""

import errno
import traceback
from collections.abc import Iterator

TORCH_SAYS = "can't allocate memory"  # its allocator for the CPU raises no more than a RuntimeError


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether there was too little of the machine's memory, whatever was made of it on the way up."""
    return any(_says_so(each) for each in _chain(error))


def let_go(error: BaseException) -> None:
    """Frees what the calls held that the error came through, so that there is memory to deal with it."""
    for each in _chain(error):
        traceback.clear_frames(each.__traceback__)


def _says_so(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and TORCH_SAYS in str(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
