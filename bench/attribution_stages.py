"""Where the time of a trace goes: seconds in each function that `circuitbase.tracing.attribution` calls."""

import functools
import inspect
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from circuitbase.tracing import attribution


class Stages:
    """Times the functions that the pipeline imports, while inside `with`; `seconds` by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._plain: dict[str, Callable[..., Any]] = {}

    def __enter__(self) -> "Stages":
        for name, found in vars(attribution).items():
            if inspect.isfunction(found) and found.__module__.startswith("circuitbase.") and name != "trace":
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
            begun = time.perf_counter()
            try:
                return plain(*arguments, **named)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun

        return timed
