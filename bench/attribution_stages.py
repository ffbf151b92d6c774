"""Where the time of a trace goes: seconds in each function that `circuitbase.tracing.attribution` calls."""

import functools
import inspect
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch

from circuitbase.tracing import attribution


class Stages:
    """Times the functions that the pipeline imports, while inside `with`; `seconds` by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._plain: dict[str, Callable[..., Any]] = {}

    def __enter__(self) -> "Stages":
        for name, found in vars(attribution).items():
            ours = inspect.isfunction(found) and found.__module__.startswith("circuitbase.")
            if ours and not name.startswith("_") and not name.startswith("trace"):  # those hold the others
                self._plain[name] = found
        for name, plain in self._plain.items():
            setattr(attribution, name, self._timed(name, plain))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, plain in self._plain.items():
            setattr(attribution, name, plain)

    def _timed(self, name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(plain)
        def timed(*arguments: Any, **named: Any) -> Any:
            begun = settled_time()
            try:
                return plain(*arguments, **named)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + settled_time() - begun

        return timed


def settled_time() -> float:
    """Returns the time when everything that was asked of a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
