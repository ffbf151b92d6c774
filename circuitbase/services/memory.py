"""How much memory the private Neo4j may take."""

from dataclasses import dataclass

import psutil

MIB = 2**20


@dataclass(frozen=True)
class Memory:
    """Heap and page cache as Java and Neo4j write sizes, with further options for Java."""

    initial_heap: str = "512m"
    heap: str = "2g"
    page_cache: str = "512m"
    java_options: tuple[str, ...] = ()


# 300 MB resident; without the optimising compiler a start takes 5 seconds rather than 8
SMALL = Memory(
    initial_heap="128m",
    heap="768m",
    page_cache="128m",
    java_options=("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
)


def memory_for_machine(total: int | None = None) -> Memory:
    """Returns an eighth of the machine's memory (bytes) as heap and a sixteenth as page cache.

    The heap stays between 2 GB, which the largest trace that is accepted needs, and 4 GB; on small
    machines it is a third of what there is.
    """
    total = psutil.virtual_memory().total if total is None else total
    heap = min(max(total // 8, 2048 * MIB), 4096 * MIB, total // 3) // MIB
    page_cache = min(max(total // 16, 256 * MIB), 2048 * MIB) // MIB
    return Memory(initial_heap=f"{min(512, heap)}m", heap=f"{heap}m", page_cache=f"{page_cache}m")
