"""Who may reach the server and how: the address, the secrets, TLS or a proxy, the browsers' origins."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  (dataclass fields)
from urllib.parse import urlsplit

from workbench.errors import ConfigError, UsageError
from workbench.server.passwords import Passwords, read_token
from workbench.server.visitor import Role

__all__ = ["Access", "resolve_access"]

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Access:
    """The rules of one server.

    Attributes:
        host: The address that it listens on.
        port: The port; 0 for any that is free.
        passwords: Users who log in with a password; none without a password file.
        token_hash: SHA-256 of the token that programs send; empty without a token.
        token_role: What programs may do that send it.
        certificate: TLS certificate and key.
        behind_proxy: Whether a proxy in front speaks TLS, and tells the client's address.
        origins: The origins (``https://host:port``) from which browsers come; see :meth:`on`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    passwords: Passwords | None = None
    token_hash: bytes = field(default=b"", repr=False)
    token_role: Role = Role.ANALYST
    certificate: tuple[Path, Path] | None = None
    behind_proxy: bool = False
    origins: tuple[str, ...] = ()

    @property
    def login(self) -> bool:
        """Return whether anybody has to say who he is."""
        return self.passwords is not None or bool(self.token_hash)

    @property
    def secure(self) -> bool:
        """Return whether browsers come over TLS, so that cookies may ask for it."""
        return self.certificate is not None or self.behind_proxy

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return what a request's ``Host`` may be."""
        return tuple(urlsplit(origin).netloc for origin in self.origins)

    @property
    def url(self) -> str:
        """Return the address of the first page."""
        return f"{self.origins[0]}/"

    def role(self, user: str) -> Role:
        """Return what somebody may do who has logged in; without a login everybody may do everything."""
        return Role.OPERATOR if self.passwords is None else self.passwords.role(user)

    def has_token(self, token: str) -> bool:
        """Return whether it is the token; takes as long whatever the answer is."""
        given = hashlib.sha256(token.encode()).digest()
        return bool(self.token_hash) and hmac.compare_digest(given, self.token_hash)


def resolve_access(  # noqa: PLR0913  (the options of the command)
    address: str = "127.0.0.1",
    port: int = 0,
    *,
    password_file: Path | None = None,
    token: str | None = None,
    token_role: str = "analyst",  # noqa: S107  (no password)
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    behind_proxy: bool = False,
    origins: tuple[str, ...] = (),
) -> Access:
    """Check that the options make a server that only those can use who are meant to (spec 7.4).

    Args:
        address: Where to listen. Any but a loopback address needs a login, and TLS or a proxy.
        port: The port; 0 is made any that is free.
        password_file: Users with their passwords, made by ``workbench password``.
        token: Where the token of programs is: ``env:NAME`` or a file.
        token_role: What programs may do that send it: ``viewer``, ``analyst`` or ``operator``.
        tls_cert: The certificate's file, in PEM.
        tls_key: Its key's file.
        behind_proxy: A proxy in front speaks TLS; ``origins`` says what browsers call it.
        origins: What browsers have in their address bar, such as ``https://logs.example.org``, where it is
            not the address and the port.

    Raises:
        UsageError: If others could reach it without a login or without encryption; if the port is taken.
        UnknownNameError: If there is no such role.
        ConfigError: If a secret, a certificate or an origin cannot be used.
    """
    host, local = _listening(address)
    if (tls_cert is None) != (tls_key is None):
        raise UsageError("TLS needs a certificate and its key.", fix="Give both --tls-cert and --tls-key.")
    certificate = None if tls_cert is None or tls_key is None else (_readable(tls_cert), _readable(tls_key))
    if not local and password_file is None and token is None:
        raise UsageError(
            f"cannot serve on {address!r} without a login: only this machine may connect then.",
            fix="Give --password-file or --token; or serve on 127.0.0.1 and come through an SSH tunnel.",
        )
    if not local and certificate is None and not behind_proxy:
        raise UsageError(
            f"cannot serve on {address!r} without encryption.",
            fix="Give --tls-cert and --tls-key, or --behind-proxy where a proxy in front speaks TLS.",
        )
    if behind_proxy and not origins:
        raise UsageError(
            "behind a proxy, browsers come from another address than this one.",
            fix="Name it with --origin https://…",
        )
    number = _free(host, port)
    given = tuple(_origin(origin, secure=certificate is not None or behind_proxy) for origin in origins)
    return Access(
        host=host,
        port=number,
        passwords=None if password_file is None else Passwords.read(password_file.expanduser()),
        token_hash=b"" if token is None else hashlib.sha256(read_token(token).encode()).digest(),
        token_role=Role.parse(token_role),
        certificate=certificate,
        behind_proxy=behind_proxy,
        origins=(*given, *_own(host, number, "http" if certificate is None else "https")),
    )


def _listening(address: str) -> tuple[str, bool]:
    """Return the address to listen on and whether only this machine can reach it."""
    if address == "localhost":
        return "127.0.0.1", True
    try:
        return address, ipaddress.ip_address(address).is_loopback
    except ValueError:
        raise UsageError(
            f"{address!r} is no address to listen on.",
            fix="Give an IP address, such as 127.0.0.1.",
        ) from None


def _own(host: str, port: int, scheme: str) -> tuple[str, ...]:
    """Return the origins of the server itself: a wildcard address goes by this machine's name."""
    ip = ipaddress.ip_address(host)
    names = [f"[{host}]" if ip.version == 6 else host]
    if ip.is_unspecified:
        names = [socket.gethostname().lower(), *_LOOPBACK_NAMES]
    elif ip.is_loopback:
        names += [name for name in _LOOPBACK_NAMES if name not in names]
    default = 443 if scheme == "https" else 80
    return tuple(f"{scheme}://{name}" + ("" if port == default else f":{port}") for name in names)


def _origin(text: str, *, secure: bool) -> str:
    parts = urlsplit(text if "//" in text else f"{'https' if secure else 'http'}://{text}")
    try:
        whole = parts.port != 0 and bool(parts.hostname) and parts.path in ("", "/")
    except ValueError:
        whole = False
    if not whole or parts.scheme not in ("http", "https") or "@" in parts.netloc:
        fix = "Write it https://host or https://host:port."
        raise ConfigError(f"{text!r} is no origin.", where="--origin", fix=fix)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _readable(path: Path) -> Path:
    found = path.expanduser()
    if not found.is_file():
        raise ConfigError("there is no such file.", where=str(path))
    return found


def _free(host: str, port: int) -> int:
    """Return the port, or a free one for 0: browsers are told the origin before the server listens."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        # a port that a server has just left is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"cannot listen on port {port}: {error.strerror}.", where=host, fix="Choose another, or 0."
            ) from error
        return int(probe.getsockname()[1])
