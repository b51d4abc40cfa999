"""Keys by reference: where one stands is kept, the key itself is looked up when a request is made."""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass

from workbench.errors import ConfigError, ProviderAuthError

__all__ = ["Secret"]

_FIX = "Write env:NAME for an environment variable, or keyring:SERVICE/NAME."


@dataclass(frozen=True)
class Secret:
    """Where a key stands: ``env:NAME``, ``keyring:SERVICE/NAME``, or nothing where none is needed.

    Its ``repr`` is the reference; :meth:`reveal` alone returns the key.

    Raises:
        ConfigError: If it is no reference. What was given is not repeated: it may be a key.

    >>> Secret("env:SOME_KEY")
    Secret('env:SOME_KEY')
    >>> bool(Secret(""))
    False
    """

    reference: str

    def __post_init__(self) -> None:
        """Refuse what is no reference."""
        given = self.reference
        if given and not re.fullmatch(r"env:\w+|keyring:[^/]+/.+", given):
            object.__setattr__(self, "reference", "")  # else a traceback that shows locals would show it
            del given
            raise ConfigError("a key itself never stands in settings or code.", where="api key", fix=_FIX)

    def reveal(self) -> str:
        """Return the key, or an empty string where none is needed.

        Raises:
            ProviderAuthError: If there is none where the reference points to.
            ConfigError: If the reference is to a keyring and the library is not installed.
        """
        kind, _, name = self.reference.partition(":")
        if kind == "keyring":
            return _from_keyring(*name.split("/", 1))
        if kind == "env" and not os.environ.get(name):
            raise ProviderAuthError(
                f"there is no key: the environment variable {name} is not set.", fix=f"Set {name} to the key."
            )
        return os.environ[name] if kind == "env" else ""

    def scrub(self, text: str) -> str:
        """Return a text without the key in it: a server's message may repeat what it was sent."""
        try:
            key = self.reveal()
        except (ConfigError, ProviderAuthError):
            return text
        return text.replace(key, "[key]") if key else text

    def __bool__(self) -> bool:
        """Return whether there is a reference."""
        return bool(self.reference)

    def __repr__(self) -> str:
        """Return the reference, never the key."""
        return f"Secret({self.reference!r})"


def _from_keyring(service: str, name: str) -> str:
    if importlib.util.find_spec("keyring") is None:
        raise ConfigError(
            f"the key of {service}/{name} is in a keyring, and the library 'keyring' is not installed.",
            where="api key",
            fix="Install keyring, or use env:NAME.",
        )
    found: str | None = importlib.import_module("keyring").get_password(service, name)
    if not found:
        raise ProviderAuthError(
            f"there is no key: the keyring has none for {service}/{name}.", fix="Add it to the keyring."
        )
    return found
