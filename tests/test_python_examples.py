import pytest

from tests.console_examples import ROOT
from tests.python_examples import python_examples, rewritten, run_together

TEXT = """\
# Page

```python
x = 1
print("one")
```

```text
two
```

Then

```python
y = x + 1
```

```sh
circuitbase up
```

```python
print(y)
```

```text
```
"""


def test_blocks_are_found_with_what_they_print() -> None:
    assert [example.printed for example in python_examples(TEXT)] == [("two",), None, ()]


def test_blocks_run_in_one_interpreter() -> None:
    assert run_together(python_examples(TEXT), folder=ROOT) == ["one\n", "", "2\n"]


def test_what_they_print_now_is_written() -> None:
    now = rewritten(TEXT, folder=ROOT)
    assert [example.printed for example in python_examples(now)] == [("one",), None, ("2",)]
    assert now.replace("one\n```\n\nThen", "two\n```\n\nThen").replace("```text\n2\n", "```text\n") == TEXT


def test_a_block_that_fails_is_told() -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_together(python_examples("```python\n1 / 0\n```\n"), folder=ROOT)
