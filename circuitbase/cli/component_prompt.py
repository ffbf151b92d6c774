"""What `lens` and `attention` begin with: a model by its components, and a prompt as it reads it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from circuitbase.tracing.dtypes import DTYPE_NAMES

if TYPE_CHECKING:
    from torch import Tensor

    from circuitbase.graph.trace import TracedPrompt
    from circuitbase.tracing.components.component_model import ComponentModel
    from circuitbase.tracing.dtypes import DType
    from circuitbase.tracing.tokenizing import PromptTokenizer

_FLAGS = (
    click.argument("prompt", required=False),
    click.option("--model", required=True, help="Model: a folder, a hub id, or the name of a packaged one."),
    click.option("--tokens", metavar="IDS", help="Token ids by commas, in place of PROMPT."),
    click.option("--chat", is_flag=True, help="PROMPT is one user's message; the chat template is put around it."),
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1."),
    click.option(
        "--dtype",
        type=click.Choice(DTYPE_NAMES),
        default="float32",
        show_default=True,
        help="Type of the weights; half-precision ones are multiplied in float32.",
    ),
)


@dataclass(frozen=True)
class GivenPrompt:
    """The options as they were given."""

    prompt: str | None
    model: str
    tokens: str | None
    chat: bool
    device: str
    dtype: "DType"

    def tokenizer(self) -> "PromptTokenizer":
        """Returns the model's tokenizer; nothing else of it is loaded."""
        from circuitbase.cli.models import resolve_model
        from circuitbase.tracing.tokenizing import PromptTokenizer

        return PromptTokenizer(resolve_model(self.model))

    def read(self, tokenizer: "PromptTokenizer") -> "TracedPrompt":
        """Returns the prompt's tokens; raises InputError for one that the model cannot read."""
        from circuitbase.cli.trace import prompt_or_tokens

        return tokenizer.read(prompt_or_tokens(self.prompt, self.tokens, chat=self.chat), chat=self.chat)

    def load(self) -> "ComponentModel":
        """Returns the model by its components, loaded."""
        from circuitbase.cli.models import resolve_model
        from circuitbase.tracing.components.hugging_face import component_model
        from circuitbase.tracing.models import load_model

        return component_model(load_model(resolve_model(self.model), dtype=self.dtype, device=self.device))


def token_tensor(prompt: "TracedPrompt") -> "Tensor":
    """Returns a prompt's tokens as a model takes them."""
    import torch

    return torch.tensor(prompt.token_ids)


def prompt_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds PROMPT and the options that say how it is read; the command receives them as `given`."""

    @functools.wraps(command)
    def with_options(**options: Any) -> Any:
        names = ("prompt", "model", "tokens", "chat", "device", "dtype")
        return command(given=GivenPrompt(**{name: options.pop(name) for name in names}), **options)

    for flag in reversed(_FLAGS):
        with_options = flag(with_options)
    return with_options
