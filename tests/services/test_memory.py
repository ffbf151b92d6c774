import pytest

from circuitbase.services.memory import Memory, memory_for_machine

GIB = 2**30


@pytest.mark.parametrize(
    ("gigabytes", "heap", "page_cache"),
    [(3, "1024m", "256m"), (8, "2048m", "512m"), (24, "3072m", "1536m"), (256, "4096m", "2048m")],
)
def test_memory_grows_with_the_machine_between_bounds(gigabytes: int, heap: str, page_cache: str):
    assert memory_for_machine(gigabytes * GIB) == Memory("512m", heap, page_cache)
