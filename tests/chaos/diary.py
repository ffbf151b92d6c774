"""What was done and seen, line by line, with the seconds since the beginning."""

import threading
import time
from pathlib import Path


class Diary:
    """Lines in a file; several threads may write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        path.write_text("")

    def note(self, line: str) -> None:
        """Writes one line."""
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(f"{self.seconds:8.2f}  {line}\n")

    @property
    def seconds(self) -> float:
        """Returns the seconds since the beginning."""
        return time.monotonic() - self._begun
