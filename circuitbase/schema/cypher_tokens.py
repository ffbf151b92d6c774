"""Cypher text as tokens, enough to find the names in it: no grammar, no values."""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<skipped>  \s+ | //[^\n]* | /\*.*?\*/ )
    | (?P<string>   '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" )
    | (?P<quoted>   `(?:[^`]|``)*` )
    | (?P<parameter> \$\w+ )
    | (?P<number>   \d+(?:\.\d+)?(?:[eE][+-]?\d+)? | \.\d+ )
    | (?P<name>     [^\W\d]\w* )
    | (?P<sign>     \.\. | . )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """One token; `kind` is string, parameter, number, name or sign."""

    kind: str
    text: str

    def is_word(self, *words: str) -> bool:
        """Returns whether this is one of the keywords, in any case."""
        return self.kind == "name" and self.text.upper() in words


END = Token("sign", "")


def tokens(cypher: str) -> list[Token]:
    """Returns the tokens of a Cypher text, without space and comments; names lose their backticks."""
    found = []
    for match in _TOKEN.finditer(cypher):
        kind, text = str(match.lastgroup), match.group()
        if kind == "quoted":
            found.append(Token("name", text[1:-1].replace("``", "`")))
        elif kind != "skipped":
            found.append(Token(kind, text))
    return found
