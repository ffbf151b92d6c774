"""JSON files that describe a dictionary."""

import json
from pathlib import Path
from typing import Any

from circuitbase.errors import ModelError


def read_json(path: Path) -> dict[str, Any]:
    """Returns the mapping in a JSON file; raises ModelError if it holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise ModelError(
            f"{path} should describe a dictionary as JSON, but does not ({error}); fetch it again"
        ) from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} should describe a dictionary as a JSON object, but does not; fetch it again")
    return found


def positive_integer(config: dict[str, Any], key: str, path: Path) -> int:
    """Returns a size from a description; raises ModelError if it is missing or none."""
    value = config.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(f"{path}: {key} must be a positive integer, got {value}")
    return value
