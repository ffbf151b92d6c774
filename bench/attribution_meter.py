"""What a stretch of work takes of this process: wall and processor seconds, and memory. Needs no other package."""

import resource
import threading
import time
from pathlib import Path
from types import TracebackType

PAGE = resource.getpagesize()
EVERY = 0.01  # seconds between two looks at the memory
STATM = Path("/proc/self/statm")


class Meter:
    """Measures what happens inside `with`; `taken` then holds seconds and bytes.

    `peak` is the most memory resident at any time, looked at every 10 ms; `before` what was resident at the
    start; `process_peak` the most that the process ever had.
    """

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._peak = 0

    def __enter__(self) -> "Meter":
        self._before = self._peak = resident()
        self._watcher.start()
        self._processor, self._wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wall, processor = time.perf_counter() - self._wall, time.process_time() - self._processor
        self._over.set()
        self._watcher.join()
        self.taken = {
            "wall": wall,
            "processor": processor,
            "before": self._before,
            "peak": max(self._peak, resident()),
            "process_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self._peak = max(self._peak, resident())


def resident() -> int:
    """Returns the bytes of this process that are in memory now."""
    return int(STATM.read_text().split()[1]) * PAGE
