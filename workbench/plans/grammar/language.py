"""A language for the planner: its closed-class words, word forms and words of time, from a YAML file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

__all__ = ["Language", "load_language"]

_SHORTEST_STEM = 3


@dataclass(frozen=True, eq=False)
class Language:
    """What a language file says.

    Attributes:
        data: The file's content.
    """

    data: dict[str, Any]

    @cached_property
    def determiners(self) -> frozenset[str]:
        """Return the words that are left out before anything is read."""
        return frozenset(self.data["determiners"])

    @cached_property
    def times(self) -> dict[str, Any]:
        """Return the words of time."""
        return dict(self.data["times"])

    @cached_property
    def words(self) -> dict[tuple[str, ...], tuple[str, ...]]:
        """Map each closed-class phrase, as stems, to the names of the terminals that it is."""
        found: dict[tuple[str, ...], list[str]] = {}
        for name, phrases in self.data["words"].items():
            for phrase in phrases:
                key = self.phrase(str(phrase))
                if key and name not in found.setdefault(key, []):
                    found[key].append(name)
        return {key: tuple(names) for key, names in found.items()}

    @cached_property
    def closed(self) -> frozenset[str]:
        """Return every single word that the language itself uses."""
        single = {key[0] for key in self.words if len(key) == 1}
        times = {
            self.stem(w) for name in ("months", "weekdays", "units", "numbers") for w in self.times[name]
        }
        return frozenset(single | times)

    def phrase(self, text: str) -> tuple[str, ...]:
        """Return a phrase as stems without determiners."""
        from workbench.plans.grammar.tokens import split  # noqa: PLC0415  (tokens need a language)

        return tuple(self.stem(word) for word in split(text) if word not in self.determiners)

    def plural(self, noun: str) -> str:
        """Return the plural of a noun.

        >>> english = load_language("english")
        >>> english.plural("aircraft"), english.plural("departure delay"), english.plural("city")
        ('aircraft', 'departure delays', 'cities')
        """
        last = noun.rsplit(maxsplit=1)[-1] if noun.split() else noun
        speech: dict[str, Any] = self.data["speech"]
        if self.data["stems"]["irregular"].get(last) == last or last.endswith("s"):
            return noun
        for ending, plural in speech["plurals"].items():
            if noun.endswith(ending):
                return f"{noun[: -len(ending)]}{plural}"
        return f"{noun}{speech['plural']}"

    def stem(self, word: str) -> str:
        """Return a word without its inflection.

        >>> english = load_language("english")
        >>> [english.stem(w) for w in ("delays", "delayed", "serving", "cities", "flew", "cancelled")]
        ['delay', 'delay', 'serv', 'city', 'fly', 'cancel']
        """
        return _stem(word, self)

    def participle(self, word: str) -> bool:
        """Return whether a word says what was done.

        >>> english = load_language("english")
        >>> [english.participle(w) for w in ("placed", "sold", "login")]
        [True, True, False]
        """
        irregular = self.data["stems"]["irregular"]
        endings = tuple(self.data["stems"]["participles"])
        return word.endswith(endings) or (word in irregular and irregular[word] != word)

    def root(self, word: str) -> str:
        """Return what a family of words has in common.

        >>> english = load_language("english")
        >>> [english.root(w) for w in ("departure", "departed", "cancellation", "canceled", "arrivals")]
        ['depart', 'depart', 'cancel', 'cancel', 'arriv']
        """
        return _root(word, self)


@cache
def _stem(word: str, language: Language) -> str:
    irregular = language.data["stems"]["irregular"]
    if word in irregular:
        return _without_e(str(irregular[word]))
    if len(word) <= _SHORTEST_STEM or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    stem = word
    if stem.endswith(("ses", "xes", "zes", "ches", "shes")):
        stem = stem[:-2]
    elif stem.endswith("s") and not stem.endswith(("ss", "us", "is")):
        stem = stem[:-1]
    for ending in ("ing", "ed"):
        if (
            stem.endswith(ending)
            and len(stem) - len(ending) >= _SHORTEST_STEM
            and _has_vowel(stem[: -len(ending)])
        ):
            stem = _undoubled(stem[: -len(ending)])
            break
    return _without_e(str(irregular.get(stem, stem)))


@cache
def _root(word: str, language: Language) -> str:
    if not word.isalpha():
        return word
    for suffix in sorted(language.data["stems"]["suffixes"], key=len, reverse=True):
        if word.endswith(suffix) and len(word) - len(suffix) >= 4:
            return _undoubled(word[: -len(suffix)])
    return _stem(word, language)


def _without_e(text: str) -> str:
    return text[:-1] if text.endswith("e") and len(text) > _SHORTEST_STEM else text


def _has_vowel(text: str) -> bool:
    return any(c in "aeiouy" for c in text)


def _undoubled(text: str) -> str:
    return (
        text[:-1]
        if len(text) > _SHORTEST_STEM and text[-1] == text[-2] and text[-1] not in "aeiousz"
        else text
    )


@cache
def load_language(name: str) -> Language:
    """Return a language by the name of its file.

    >>> load_language("english").words["how", "many"]
    ('how_many',)
    """
    file = Path(__file__).parent / f"{name}.yaml"
    return Language(YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8")))
