"""A metric from a Python file of the user's: `FILE.py:FUNCTION`."""

import importlib.util
from pathlib import Path

from circuitbase.errors import InputError
from circuitbase.tracing.components.attribution_options import METRIC_NAMES, MetricFunction


def read_metric(text: str) -> MetricFunction:
    """Returns the function that `FILE.py:FUNCTION` names, which is run with the user's own rights."""
    path, colon, name = text.rpartition(":")
    if not colon or not path.endswith(".py"):
        raise InputError(
            f"the metric must be one of {', '.join(METRIC_NAMES)} or FILE.py:FUNCTION, such as metric.py:margin, "
            f"got {text!r}"
        )
    if not Path(path).is_file():
        raise InputError(f"the metric's file {path} does not exist; check the path")
    described = importlib.util.spec_from_file_location("circuitbase_metric", path)
    assert described is not None and described.loader is not None  # a file that ends in .py has one
    module = importlib.util.module_from_spec(described)
    try:
        described.loader.exec_module(module)
    except Exception as error:  # whatever a user's file raises
        raise InputError(f"the metric's file {path} cannot be run ({type(error).__name__}: {error})") from error
    found = getattr(module, name, None)
    if not callable(found):
        raise InputError(f"{path} should define a function {name}(logits, clean_logits, pairs), and does not")
    return found
