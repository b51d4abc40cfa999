"""Secrets of the server: passwords as salted scrypt hashes in a file, and the token of programs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from workbench.errors import ConfigError, UsageError

__all__ = ["Passwords", "add_password", "read_token"]

# RFC 7914: 2**15 rounds of blocks of 8 take 32 MB and about a tenth of a second.
_LOG_ROUNDS, _BLOCK, _LANES = 15, 8, 1
_SALT_BYTES = 16
_KEY_BYTES = 32
_SHORTEST_PASSWORD = 8
_SHORTEST_TOKEN = 16
_LINE = re.compile(r"(?P<name>[^:\s]+):scrypt(\$\d{1,2}){3}(\$[A-Za-z0-9+/]+={0,2}){2}")
_NAME = re.compile(r"[^:\s]{1,64}")


class Passwords:
    """The users who may log in.

    Args:
        hashes: A line of the file for each name.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "passwords"
    >>> add_password(file, "anna", "correct horse")
    >>> passwords = Passwords.read(file)
    >>> passwords.match("anna", "correct horse"), passwords.match("anna", "battery staple")
    (True, False)
    """

    def __init__(self, hashes: dict[str, str]) -> None:
        self._hashes = hashes
        # an unknown name takes as long as a wrong password
        self._nobody = _hashed(secrets.token_hex())

    @classmethod
    def read(cls, path: Path) -> Passwords:
        """Return the users of a file.

        Raises:
            ConfigError: If it cannot be read, holds no user, or a line is not one of :func:`add_password`.
        """
        hashes = _lines(path)
        if not hashes:
            raise ConfigError("there is no user in it.", where=str(path), fix=_how(path))
        return cls(hashes)

    def match(self, name: str, password: str) -> bool:
        """Return whether it is the password of ``name``; takes as long whatever the answer is."""
        known = self._hashes.get(name)
        return _matches(known or self._nobody, password) and known is not None


def add_password(path: Path, name: str, password: str) -> None:
    """Write the hash of a user's password into a file that its owner alone may read, for an earlier one.

    Raises:
        UsageError: If the name or the password does not do.
        ConfigError: If the file holds anything else, or cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of a user.", fix="Use up to 64 characters without blanks and colons."
        )
    if len(password) < _SHORTEST_PASSWORD:
        raise UsageError("the password is too short.", fix=f"Use at least {_SHORTEST_PASSWORD} characters.")
    hashes = {**(_lines(path) if path.exists() else {}), name: _hashed(password)}
    text = "".join(f"{user}:{line}\n" for user, line in sorted(hashes.items()))
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        private = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(private, "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}.", where=str(path)) from error


def read_token(reference: str) -> str:
    """Return the token that ``env:NAME`` or a file holds: a token in a command line is seen by others.

    Raises:
        ConfigError: If it is not there, or is too short to be a secret.
    """
    if reference.startswith("env:"):
        token = os.environ.get(reference.removeprefix("env:"), "").strip()
    else:
        try:
            token = Path(reference).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                "there is no token to be read.",
                where=reference,
                fix="Name a file, or env:NAME for a variable.",
            ) from error
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"the token is missing, or no word of at least {_SHORTEST_TOKEN} ASCII characters.",
            where=reference,
            fix="Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    return token


def _hashed(password: str) -> str:
    salt = os.urandom(_SALT_BYTES)
    key = _key(password, salt, _LOG_ROUNDS, _BLOCK, _LANES)
    return f"scrypt${_LOG_ROUNDS}${_BLOCK}${_LANES}${_text(salt)}${_text(key)}"


def _matches(line: str, password: str) -> bool:
    _, rounds, block, lanes, salt, key = line.split("$")
    found = _key(password, base64.b64decode(salt), int(rounds), int(block), int(lanes))
    return hmac.compare_digest(found, base64.b64decode(key))


def _key(password: str, salt: bytes, log_rounds: int, block: int, lanes: int) -> bytes:
    rounds = 1 << log_rounds
    memory = 256 * rounds * block  # twice what it takes
    data = password.encode()
    return hashlib.scrypt(data, salt=salt, n=rounds, r=block, p=lanes, maxmem=memory, dklen=_KEY_BYTES)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _lines(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the passwords cannot be read.", where=str(path), fix=_how(path)) from error
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ConfigError("is no line of a password file.", where=f"{path}:{number}", fix=_how(path))
        found[match["name"]] = line.strip().partition(":")[2]
    return found


def _how(path: Path) -> str:
    return f"Make one with 'workbench password {path}'."
