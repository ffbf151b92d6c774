"""What a stretch of work takes of this process: wall and processor seconds, and memory. Needs no other package."""

import re
import threading
import time
from pathlib import Path
from types import TracebackType

EVERY = 0.01  # seconds between two looks at the memory
STATUS = Path("/proc/self/status")
RESIDENT = re.compile(r"^Rss(?:Anon|File|Shmem):\s+(\d+) kB", re.MULTILINE)


class Meter:
    """Measures what happens inside `with`; `taken` then holds seconds and bytes.

    `peak` is the most memory resident at any time, looked at every 10 ms, `before` what was resident at the
    start. `own_peak` and `own_before` leave out pages of mapped files, which the system can take back.
    """

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Meter":
        self._own_before, self._before = self._own_peak, self._peak = resident()
        self._watcher.start()
        self._processor, self._wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wall, processor = time.perf_counter() - self._wall, time.process_time() - self._processor
        self._over.set()
        self._watcher.join()
        self._look()
        self.taken = {
            "wall": wall,
            "processor": processor,
            "before": self._before,
            "peak": self._peak,
            "own_before": self._own_before,
            "own_peak": self._own_peak,
        }

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self._look()

    def _look(self) -> None:
        own, all_of_it = resident()
        self._own_peak, self._peak = max(self._own_peak, own), max(self._peak, all_of_it)


def resident() -> tuple[int, int]:
    """Returns the bytes of this process in memory now: those of its own, and with pages of mapped files."""
    own, mapped, shared = (int(found) * 1024 for found in RESIDENT.findall(STATUS.read_text()))
    return own + shared, own + mapped + shared
