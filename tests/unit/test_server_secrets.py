"""Passwords, tokens, limits, and the options that make a server that nobody else can use."""

from __future__ import annotations

import socket
import stat
from typing import TYPE_CHECKING, Any

import pytest

from workbench.errors import ConfigError, UsageError
from workbench.server import resolve_access
from workbench.server.limits import Attempts, Rate, Sessions
from workbench.server.passwords import Passwords, add_password, read_token
from workbench.server.visitor import Role

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "a-token-of-some-length"  # noqa: S105


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users"
    add_password(file, "anna", "correct horse")
    return file


def test_a_password_file_holds_salted_hashes_and_is_for_its_owner_alone(users: Path) -> None:
    add_password(users, "boris", "correct horse")
    text = users.read_text()
    assert "correct horse" not in text
    anna, boris = (line.rpartition(":")[2] for line in text.splitlines())
    assert anna != boris
    assert stat.S_IMODE(users.stat().st_mode) == 0o600
    assert [path.name for path in users.parent.iterdir()] == ["users"]


def test_a_role_is_kept_with_a_new_password_until_another_is_given(users: Path) -> None:
    assert Passwords.read(users).role("anna") is Role.VIEWER
    assert add_password(users, "boris", "correct horse", Role.OPERATOR) is Role.OPERATOR
    assert add_password(users, "boris", "another horse") is Role.OPERATOR
    assert add_password(users, "anna", "correct horse", Role.ANALYST) is Role.ANALYST
    assert [Passwords.read(users).role(name) for name in ("anna", "boris")] == [Role.ANALYST, Role.OPERATOR]
    with pytest.raises(KeyError):
        Passwords.read(users).role("nobody")


def test_a_role_that_does_not_exist_is_refused_with_the_near_miss() -> None:
    with pytest.raises(UsageError, match="analyst"):
        resolve_access(token_role="analist")  # noqa: S106


def test_only_the_right_name_with_the_right_password_matches(users: Path) -> None:
    add_password(users, "anna", "another horse")
    passwords = Passwords.read(users)
    assert passwords.match("anna", "another horse")
    for name, password in (
        ("anna", "correct horse"),
        ("anna", ""),
        ("boris", "another horse"),
        ("", "another horse"),
        ("Anna", "another horse"),
    ):
        assert not passwords.match(name, password)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("anna:plain text\n", "users:1"),
        ("anna:king:scrypt$15$8$1$YQ==$YQ==\n", "users:1"),
        ("", "no user"),
        ("# nobody yet\n", "no user"),
    ],
)
def test_a_file_that_is_none_is_named_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "users"
    file.write_text(line)
    with pytest.raises(ConfigError, match=reason) as refusal:
        Passwords.read(file)
    assert "workbench password" in refusal.value.fix


@pytest.mark.parametrize(
    ("name", "password"), [("an na", "long enough"), ("a:b", "long enough"), ("anna", "short")]
)
def test_a_name_or_a_password_that_does_not_do_is_refused(tmp_path: Path, name: str, password: str) -> None:
    with pytest.raises(UsageError):
        add_password(tmp_path / "users", name, password)
    assert not (tmp_path / "users").exists()


def test_a_token_is_read_from_a_variable_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert read_token("env:SOME_TOKEN") == read_token(str(tmp_path / "token")) == TOKEN


@pytest.mark.parametrize("content", ["short", "two words that are long", "", "ünprintable-ünprintable"])
def test_a_token_that_is_no_secret_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(ConfigError) as refusal:
        read_token(str(file))
    assert not content or content not in str(refusal.value)
    with pytest.raises(ConfigError, match="no token"):
        read_token(TOKEN)


# where a server may listen


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_this_machine_needs_no_login(address: str) -> None:
    access = resolve_access(address)
    assert not access.login
    assert access.port > 0
    assert f"localhost:{access.port}" in access.hosts


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::"])  # noqa: S104
@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, "without a login"),
        ({"behind_proxy": True, "origins": ("https://x.example",)}, "without a login"),
        ({"password_file": "users"}, "without encryption"),
        ({"token": "env:SOME_TOKEN"}, "without encryption"),
        ({"password_file": "users", "behind_proxy": True}, "another address"),
        ({"password_file": "users", "tls_cert": "users"}, "certificate and its key"),
    ],
)
def test_others_need_a_login_and_encryption(
    address: str, options: dict[str, Any], missing: str, users: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    paths = {name: users for name in ("password_file", "tls_cert") if name in options}
    with pytest.raises(UsageError, match=missing) as refusal:
        resolve_access(address, **{**options, **paths})
    assert refusal.value.fix


def test_a_proxy_or_a_certificate_makes_cookies_secure(users: Path) -> None:
    proxied = resolve_access(
        "0.0.0.0",  # noqa: S104
        password_file=users,
        behind_proxy=True,
        origins=("https://Logs.Example.org/",),
    )
    assert proxied.secure
    assert proxied.url == "https://logs.example.org/"
    tls = resolve_access("127.0.0.1", password_file=users, tls_cert=users, tls_key=users)
    assert tls.secure
    assert all(origin.startswith("https://") for origin in tls.origins)


@pytest.mark.parametrize("origin", ["ftp://x", "https://", "https://x/path", "https://x:port", "https://a@x"])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ConfigError, match="no origin"):
        resolve_access(origins=(origin,))


@pytest.mark.parametrize("address", ["example.org", "", "::1%"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        resolve_access(address)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=str(port)):
            resolve_access(port=port)


# limits


def test_a_client_may_come_as_often_as_its_bucket_fills() -> None:
    clock = Clock()
    rate = Rate(burst=3, per_second=2, clock=clock)
    assert [rate.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.wait("b") == 0
    clock.now += 0.5
    assert [rate.wait("a") for _ in range(2)] == [0, 0.5]


def test_failures_double_the_time_and_a_success_forgets_them() -> None:
    clock = Clock()
    attempts = Attempts(free=2, longest=4, clock=clock)
    waits = []
    for _ in range(6):
        attempts.failed("a")
        waits.append(attempts.wait("a"))
    assert waits == [0, 0, 1, 2, 4, 4]
    assert attempts.wait("b") == 0
    clock.now += 4
    assert attempts.wait("a") == 0
    attempts.succeeded("a")
    attempts.failed("a")
    assert attempts.wait("a") == 0


def test_a_session_ends_in_time_or_when_it_is_closed() -> None:
    clock = Clock()
    sessions = Sessions(hours=1, clock=clock)
    first, second = sessions.open("anna"), sessions.open("anna")
    assert first != second
    sessions.close(first)
    assert (sessions.user(first), sessions.user(second), sessions.user("")) == (None, "anna", None)
    clock.now += 3600
    assert sessions.user(second) is None
