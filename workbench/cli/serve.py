"""The server, and the passwords of those who log in to it."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import Annotated

import typer

from workbench.cli.options import WorkspaceOption, open_workspace
from workbench.cli.screen import print_note
from workbench.errors import UsageError

__all__ = ["password", "serve"]

LOOPBACK = "127.0.0.1"
PORT = 5006


def serve(  # noqa: PLR0913  (the options of one command)
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The workspace; the same as --workspace.")
    ] = None,
    *,
    workspace: WorkspaceOption = None,
    address: Annotated[
        str, typer.Option(metavar="HOST", help="Where to listen; other machines cannot reach the default.")
    ] = LOOPBACK,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0: any free one.")] = PORT,
    password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Who may log in; 'workbench password' makes the file."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(metavar="env:NAME|FILE", help="Where the token is that programs send as 'Bearer'."),
    ] = None,
    token_role: Annotated[
        str, typer.Option(metavar="ROLE", help="What those may do: viewer, analyst or operator.")
    ] = "analyst",  # noqa: S107  (no password)
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate (PEM): serve over TLS.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's key.")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy in front of it speaks TLS. Needs --origin.")
    ] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="What browsers call the server, such as https://logs.example.org; repeatable."
        ),
    ] = None,
    compute: Annotated[
        bool, typer.Option("--compute", help="Keep knowledge current meanwhile, as 'workbench run' does.")
    ] = False,
) -> None:
    """Show the workspace in a browser and to programs, until it is stopped.

    Pages are at /, the REST interface at /api (described at /api/docs). Without a login only this machine
    can connect. Any other address needs a login, and TLS or a proxy that speaks it.
    """
    if workspace is not None and directory is not None:
        raise UsageError("the workspace is named twice.", fix="Give DIR or --workspace.")
    from workbench.server import resolve_access  # noqa: PLC0415  (kept out of start-up)
    from workbench.server import serve as start  # noqa: PLC0415  (kept out of start-up)

    access = resolve_access(
        address,
        port,
        password_file=password_file,
        token=token,
        token_role=token_role,
        tls_cert=tls_cert,
        tls_key=tls_key,
        behind_proxy=behind_proxy,
        origins=tuple(origin or ()),
    )

    def say(url: str) -> None:
        print_note(f"{url} shows {engine.store.name}; Ctrl-C ends it")

    with open_workspace(workspace or directory) as engine:
        if compute:
            engine.store.require_writable()
            engine.scheduler.start()
        start(engine, access, ready=say)


def password(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The password file; made if it is not there.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The user.")],
    *,
    role: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help="viewer looks and asks, analyst also runs SQL, operator also has knowledge computed; "
            "as before if not given, and viewer for a new user.",
        ),
    ] = None,
) -> None:
    """Write a user's password into a file for 'workbench serve --password-file'; only a hash is kept.

    It is asked for, or read from standard input where that is no terminal.
    """
    from workbench.server.passwords import add_password  # noqa: PLC0415  (kept out of start-up)
    from workbench.server.visitor import Role  # noqa: PLC0415  (kept out of start-up)

    if sys.stdin.isatty():
        given = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = sys.stdin.readline().rstrip("\n")
    allowed = add_password(file, name, given, None if role is None else Role.parse(role))
    print_note(f"{name} ({allowed}) can log in with it: workbench serve --password-file {file}")
