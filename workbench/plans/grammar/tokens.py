"""A question as words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.plans.grammar.language import Language

__all__ = ["Token", "joined", "split", "split_name", "tokenize"]

# A date, a clock time, a number with separators, a word, or one sign.
_TOKEN = re.compile(
    r"""\d{4}-\d{2}(?:-\d{2})?(?!\d) | \d{1,2}:\d{2}(?!\d) | \d{1,3}(?:,\d{3})+(?![\d,]) | \d+\.\d+(?![\w.])
      | ['\u2019]s\b | n['\u2019]t\b | [^\W_]+(?:['\u2019](?!s\b)[^\W_]+)* | [<>]=
      | (?<![^\W\d_])- | [^\w\s-]""",
    re.VERBOSE,
)
_QUOTES = frozenset('"“”()[]`')
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")


@dataclass(frozen=True)
class Token:
    """A word of the question.

    Attributes:
        text: As it was typed.
        word: In lower case, straight apostrophes.
        stem: Without inflection.
        root: What its family has in common.
        start: Where it begins in the question.
        end: Where it ends.
    """

    text: str
    word: str
    stem: str
    root: str
    start: int
    end: int

    @property
    def plural(self) -> bool:
        """Return whether it looks like a plural."""
        return self.word.endswith("s") and not self.word.endswith(("ss", "us", "is")) and len(self.word) > 3


def split(text: str) -> list[str]:
    """Return the words of a text in lower case.

    >>> split("O'Hare's take-offs, 1,200 of them")
    ["o'hare", "'s", 'take', 'offs', ',', '1,200', 'of', 'them']
    """
    return [m.group().replace("\u2019", "'").casefold() for m in _TOKEN.finditer(text)]


def split_name(name: str) -> list[str]:
    """Return the words of a name of code.

    >>> split_name("gameTrackingProvider"), split_name("arr_delay"), split_name("API Error")
    (['game', 'tracking', 'provider'], ['arr', 'delay'], ['api', 'error'])
    """
    return [part.casefold() for part in _HUMPS.split(name) if part]


def joined(text: str) -> str:
    """Return a text's letters and digits in lower case: what two spellings of a name have in common.

    >>> joined("La Guardia"), joined("737-7H4")
    ('laguardia', '7377h4')
    """
    return "".join(c for c in text.casefold() if c.isalnum())


def tokenize(text: str, language: Language) -> list[Token]:
    """Return the words of a question without determiners."""
    found = []
    for match in _TOKEN.finditer(text):
        raw = match.group()
        word = raw.replace("\u2019", "'").casefold()
        # a determiner in capitals is a code
        if word in language.determiners and not (len(raw) == 1 and raw.isupper() and match.start()):
            continue
        if word in _QUOTES:
            continue
        found.append(Token(raw, word, language.stem(word), language.root(word), match.start(), match.end()))
    return found
