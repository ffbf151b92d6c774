from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from circuitbase.graph.trace import TracedPrompt
from circuitbase.store.prompt_line import BadLine, PromptLine
from circuitbase.tracing.attention.explained_heads import resolved_heads
from circuitbase.tracing.options import RoleTarget
from circuitbase.tracing.tokenizing import PromptTokenizer
from circuitbase.workers.intake import Intake, intake
from tests.tiny_models import WORDS, write_tiny_model

Take = Callable[..., Intake]
TOKEN = {word: number for number, word in enumerate(["<bos>", "<unk>", *WORDS])}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PromptTokenizer:
    return PromptTokenizer(write_tiny_model(tmp_path_factory.mktemp("tiny") / "model"))


def line(number: int, prompt: str = "the alpha of", **rest: object) -> PromptLine:
    return PromptLine(number=number, prompt=prompt, **rest)  # type: ignore[arg-type]


@pytest.fixture
def take(tokenizer: PromptTokenizer) -> Iterator[Take]:
    with ExitStack() as opened:
        yield lambda *lines: opened.enter_context(intake(lines, tokenizer))


def test_prompts_come_back_with_tokens_positions_and_roles(take: Take) -> None:
    found = take(
        line(1, answer="beta", distractor="gamma", spans={"letter": (4, 9)}, labels={"n": 1}, cluster="a"),
        PromptLine(number=2, tokens=(5, 6)),
    )
    first, second = found.prompts("probable")
    assert first.prompt.token_ids == (0, TOKEN["the"], TOKEN["alpha"], TOKEN["of"])
    assert first.positions == {"letter": [2]}
    assert first.roles == (RoleTarget(role="answer-distractor", token=TOKEN["beta"], minus=TOKEN["gamma"]),)
    assert first.line == line(
        1, answer="beta", distractor="gamma", spans={"letter": (4, 9)}, labels={"n": 1}, cluster="a"
    )
    assert (second.prompt.text, second.prompt.token_ids, second.roles) == (None, (0, 5, 6), ())
    assert (found.good, found.tokens, found.bad) == (2, 7, [])


def test_an_answer_alone_is_compared_with_the_mean(take: Take) -> None:
    (prompt,) = take(line(1, answer="beta")).prompts("roles")
    assert prompt.roles == (RoleTarget(role="answer", token=TOKEN["beta"], minus=None),)


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (BadLine(3, "it is bad"), "it is bad"),
        (PromptLine(number=3, prompt="the " * 40), "the model reads at most 16"),
        (PromptLine(number=3, tokens=(1, 999)), "token ids must be 0 to"),
    ],
)
def test_a_line_that_the_model_cannot_read_is_bad(take: Take, bad: PromptLine | BadLine, expected: str) -> None:
    found = take(line(1), bad, line(4, "beta"))
    ((number, problem),) = found.bad
    assert number == 3
    assert expected in problem
    assert [prompt.line.number for prompt in found.prompts("probable")] == [1, 4]


def test_a_prompt_without_the_position_whose_attention_is_asked_for_is_bad(tokenizer: PromptTokenizer) -> None:
    def fits(prompt: TracedPrompt) -> None:
        resolved_heads(((1, 0, 4),), n_positions=len(prompt.token_ids))

    with intake([line(1), line(2, "the alpha of beta is")], tokenizer, fits=fits) as found:
        assert [number for number, _ in found.bad] == [1]
        assert "the query position of a head must be -4 to 3 on this prompt, got 1/0@4" in found.bad[0][1]
        assert found.good == 1


def test_auto_means_roles_when_all_prompts_answer_alike(take: Take) -> None:
    answered = line(1, answer="beta")
    compared = line(2, "the mu", answer="beta", distractor="gamma")
    bare = line(3, "the nu")
    assert take(answered).resolved("auto") == "roles"
    assert take(compared).resolved("auto") == "roles"
    assert take(answered, compared).resolved("auto") == "probable"
    assert take(answered, bare).resolved("auto") == "probable"
    assert take().resolved("auto") == "probable"
    assert take(bare).resolved("roles") == "roles"
    assert take(answered).resolved("probable") == "probable"


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ({}, "no `answer`"),
        ({"answer": "beta gamma"}, "must be one token"),
        ({"answer": "unheard"}, "does not know it"),
        ({"answer": "beta", "distractor": "beta"}, "must be two tokens"),
    ],
)
def test_a_line_that_makes_no_role_is_bad_for_roles_alone(take: Take, rest: dict[str, str], expected: str) -> None:
    found = take(line(1, **rest), line(2, "beta", answer="alpha"))
    ((number, problem),) = found.bad_for("roles")
    assert number == 1
    assert expected in problem
    assert [prompt.line.number for prompt in found.prompts("roles")] == [2]
    assert found.bad_for("probable") == []
    assert [prompt.line.number for prompt in found.prompts("probable")] == [1, 2]


def test_a_repeated_line_counts_once_and_one_with_other_facts_is_bad(take: Take) -> None:
    found = take(line(1, answer="beta"), line(2, "the  alpha of", answer="beta"), line(3, answer="gamma"))
    assert (found.good, found.repeated) == (1, 1)
    ((number, problem),) = found.bad
    assert number == 3
    assert "it has the tokens of line 1, but another answer" in problem


CHAT_TEMPLATE = "{{ bos_token }}{% for message in messages %}<unk>is {{ message.content }}{% endfor %}<unk>of"


@pytest.fixture
def chat_tokenizer(tmp_path: Path) -> PromptTokenizer:
    folder = write_tiny_model(tmp_path / "chat" / "model")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return PromptTokenizer(folder)


def test_with_chat_prompts_go_through_the_template_and_spans_still_find_their_tokens(
    chat_tokenizer: PromptTokenizer,
) -> None:
    lines = (line(1, spans={"letter": (4, 9)}, answer="beta"), PromptLine(number=2, tokens=(5, 6)))
    with intake(lines, chat_tokenizer, chat=True) as found:
        (prompt,) = found.prompts("roles")
        bad = found.bad_for("roles")
    assert prompt.prompt.chat
    assert prompt.prompt.text == "<bos><unk>is the alpha of<unk>of"
    (position,) = prompt.positions["letter"]
    assert prompt.prompt.token_ids[position] == TOKEN["alpha"]
    assert prompt.line.prompt == "the alpha of"
    ((number, problem),) = bad
    assert number == 2
    assert "token ids are traced as they are, without a chat template" in problem
