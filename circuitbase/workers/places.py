"""Models and dictionaries as jobs name them, so that a worker started in another folder finds them."""

from pathlib import Path


def absolute(place: str) -> str:
    """Returns a local folder as workers elsewhere on this machine find it; a hub id as it is."""
    folder = Path(place).expanduser()
    return str(folder.resolve()) if folder.is_dir() else place
