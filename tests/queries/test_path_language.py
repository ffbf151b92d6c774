import pytest

from circuitbase.errors import InputError
from circuitbase.queries.path_language import PathStep, parsed_path


def test_a_path_is_units_with_arrows_between_them() -> None:
    assert parsed_path("L01/F00012 -> * -> answer") == (PathStep("L01/F00012"), PathStep(None), PathStep("answer"))
    assert parsed_path('in "Dover"->L03/F00123') == (PathStep('in "Dover"'), PathStep("L03/F00123"))


def test_an_arrow_in_a_token_parts_nothing() -> None:
    assert parsed_path(r'in " ->\"" -> *') == (PathStep(r'in " ->\""'), PathStep(None))


def test_a_step_can_name_the_input_of_a_head() -> None:
    assert parsed_path("* -> L02/head/1<q> -> *<v> -> a") == (
        PathStep(None),
        PathStep("L02/head/1", "q"),
        PathStep(None, "v"),
        PathStep("a"),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("answer", "a path has 2 to 4 units with -> between them"),
        ("a -> b -> c -> d -> e", "got 5 in"),
        ("a -> -> c", "a unit on either side of every ->"),
        ("a ->", "a unit on either side of every ->"),
        ("* -> *", "a path names at least one unit"),
        ('in "Dover -> b', "a token is quoted on both sides"),
        ("a<q> -> b", "the first unit of a path has no edge into it"),
        ("", "got 1 in ''"),
    ],
)
def test_what_is_no_path_gets_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        parsed_path(text)
    assert sentence in str(refused.value)
