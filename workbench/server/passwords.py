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
from workbench.server.visitor import Role

__all__ = ["Passwords", "add_password", "read_token"]

# RFC 7914: 2**15 rounds of blocks of 8 take 32 MB and about a tenth of a second.
_LOG_ROUNDS, _BLOCK, _LANES = 15, 8, 1
_SALT_BYTES = 16
_KEY_BYTES = 32
_SHORTEST_PASSWORD = 8
_SHORTEST_TOKEN = 16
_LINE = re.compile(
    rf"(?P<name>[^:\s]+):(?P<role>{'|'.join(map(str, Role))}):"
    r"(?P<hash>scrypt(\$\d{1,2}){3}(\$[A-Za-z0-9+/]+={0,2}){2})"
)
_NAME = re.compile(r"[^:\s]{1,64}")


class Passwords:
    """The users who may log in.

    Args:
        users: Role and hash for each name.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "passwords"
    >>> add_password(file, "anna", "correct horse")
    <Role.VIEWER: 1>
    >>> passwords = Passwords.read(file)
    >>> passwords.match("anna", "correct horse"), passwords.match("anna", "battery staple")
    (True, False)
    >>> str(passwords.role("anna"))
    'viewer'
    """

    def __init__(self, users: dict[str, tuple[Role, str]]) -> None:
        self._users = users
        # an unknown name takes as long as a wrong password
        self._nobody = _hashed(secrets.token_hex())

    @classmethod
    def read(cls, path: Path) -> Passwords:
        """Return the users of a file.

        Raises:
            ConfigError: If it cannot be read, holds no user, or a line is not one of :func:`add_password`.
        """
        users = _lines(path)
        if not users:
            raise ConfigError("there is no user in it.", where=str(path), fix=_how(path))
        return cls(users)

    def role(self, name: str) -> Role:
        """Return what a user may do; raises KeyError where there is none of that name."""
        return self._users[name][0]

    def match(self, name: str, password: str) -> bool:
        """Return whether it is the password of ``name``; takes as long whatever the answer is."""
        _, known = self._users.get(name, (None, self._nobody))
        return _matches(known, password) and name in self._users


def add_password(path: Path, name: str, password: str, role: Role | None = None) -> Role:
    """Write the hash of a user's password into a file that its owner alone may read, for an earlier one.

    Args:
        path: The file; made if it is not there.
        name: The user.
        password: What he logs in with.
        role: What he may do; by default what he might before, and a new user only look.

    Returns:
        What he may do.

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
    users = _lines(path) if path.exists() else {}
    allowed = role or (users[name][0] if name in users else Role.VIEWER)
    users[name] = (allowed, _hashed(password))
    text = "".join(f"{user}:{may}:{line}\n" for user, (may, line) in sorted(users.items()))
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        private = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(private, "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}.", where=str(path)) from error
    return allowed


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


def _lines(path: Path) -> dict[str, tuple[Role, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the passwords cannot be read.", where=str(path), fix=_how(path)) from error
    found: dict[str, tuple[Role, str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ConfigError("is no line of a password file.", where=f"{path}:{number}", fix=_how(path))
        found[match["name"]] = (Role.parse(match["role"]), match["hash"])
    return found


def _how(path: Path) -> str:
    return f"Make one with 'workbench password {path}'."
