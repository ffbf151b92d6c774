"""Every error a user can meet, as one tree.

CircuitbaseError
├── InputError            what the user gave cannot be used: prompts, options, names
│   ├── PromptFileError   lines of a prompt file; carries all of them
│   └── QueryError        a Cypher text or a named query that cannot be run
├── ModelError            a model folder or a dictionary that cannot be used
├── TraceFileError        a trace file that is truncated, of another version or inconsistent
├── GraphFileError        a graph file of another tool that is truncated, inconsistent or of no known form
├── StoreError            the store cannot be read or written (disk full, no such folder)
├── ServiceError          Neo4j, Redis or Java is missing, unreachable or refuses the password
└── DatabaseError         what is stored does not allow the operation (too large, missing, stale)

Each message is one sentence (or a list of them) that names the thing, what was expected, what was
found and the remedy. The command line prints it and exits with 1.
"""


class CircuitbaseError(Exception):
    """The root of every error that circuitbase raises on purpose."""


class InputError(CircuitbaseError):
    """What the user gave cannot be used."""


class PromptFileError(InputError):
    """A prompt file with bad lines; `problems` holds (line number, sentence) of each."""

    def __init__(self, path: str, problems: list[tuple[int, str]]) -> None:
        self.path = path
        self.problems = problems
        lines = "\n".join(f"  line {number}: {sentence}" for number, sentence in problems)
        noun = "line" if len(problems) == 1 else "lines"
        super().__init__(
            f"{path} has {len(problems)} bad {noun}, so nothing was queued "
            f"(correct them, or pass --skip-bad to leave them out):\n{lines}"
        )


class QueryError(InputError):
    """A Cypher text or a named query that cannot be run."""


class ModelError(CircuitbaseError):
    """A model folder or a dictionary that cannot be used."""


class TraceFileError(CircuitbaseError):
    """A trace file that is truncated, of another version or inconsistent."""


class GraphFileError(CircuitbaseError):
    """A graph file of another tool that is truncated, inconsistent or of no known form."""


class StoreError(CircuitbaseError):
    """The store cannot be read or written."""


class ServiceError(CircuitbaseError):
    """Neo4j, Redis or Java is missing, unreachable or refuses the password."""


class DatabaseError(CircuitbaseError):
    """What is stored does not allow the operation."""
