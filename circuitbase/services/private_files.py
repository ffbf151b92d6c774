"""Files that only their owner may read, written whole or not at all."""

import os
import secrets
from pathlib import Path


def private_folder(path: Path) -> Path:
    """Creates a folder that only its owner can enter (0700) and returns it."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> None:
    """Writes a file with mode 0600 under a temporary name, syncs it and renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def password_at(path: Path) -> str:
    """Returns the password a file holds, generating both on first use.

    Hexadecimal, because Neo4j's admin tool reads its arguments from a file and would take a
    leading `-` for an option and a `#` for a comment.
    """
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    password = secrets.token_hex(24)
    write_private(path, password + "\n")
    return password
