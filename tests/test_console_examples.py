from tests.console_examples import difference, examples

TEXT = """\
# Page

```sh
circuitbase up
```

```console
$ circuitbase sets --table
one 12
two

$ circuitbase cypher "RETURN 1 AS one \\
    LIMIT 1"
$ circuitbase down
```
"""


def test_commands_and_what_they_print_are_found() -> None:
    found = examples(TEXT)
    assert [example.shown.split()[1] for example in found] == ["sets", "cypher", "down"]
    assert found[0].printed == ("one 12", "two", "")
    assert found[1].arguments[-1].split() == "RETURN 1 AS one LIMIT 1".split()
    assert found[2].printed == ()


def test_equal_words_are_no_difference_however_wide_the_table() -> None:
    assert difference("┏━━┓\n┃ a ┃ b ┃\n", ("┏━━━━━┓", "┃ a   ┃   b ┃", "")) is None


def test_numbers_may_differ_in_their_last_digits() -> None:
    assert difference("x 0.3412 9.8e-07 1,000", ("x 0.3401 3.1e-07 1,001",)) is None
    assert difference("x 0.36", ("x 0.34",)) == "'x 0.34' is shown, but 'x 0.36' was printed"


def test_missing_and_additional_lines_are_told() -> None:
    assert difference("a\n", ("a", "b")) == "'b' is not printed any more"
    assert difference("a\nb\n", ("a",)) == "'b' was printed too"
    assert difference("a\n", ("b",)) == "'b' is shown, but 'a' was printed"


def test_an_ellipsis_stands_for_any_lines() -> None:
    assert difference("a\nb\nc\nd\n", ("a", "…")) is None
    assert difference("a\nb\nc\nd\n", ("a", "…", "d")) is None
    assert difference("a\nb\nc\nd\n", ("a", "…", "c")) == "'c' is shown, but 'd' was printed"
