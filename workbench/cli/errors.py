"""From what went wrong to one paragraph on standard error and an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from workbench.cli.screen import print_note
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DAMAGED", "INTERRUPTED", "MISTAKE", "Group"]

DAMAGED = 1
MISTAKE = 2
INTERRUPTED = 130

_STOPPED = (
    "workbench: stopped. The workspace is consistent: what was finished is kept, the rest was not begun. "
    "The command can be repeated."
)


class Group(TyperGroup):
    """The root of the commands.

    A user's mistake ends with 2 and a paragraph, an interrupt with 130 and a sentence; an exception
    that nobody expected keeps its traceback.
    """

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and leave by :exc:`SystemExit`, in either mode."""
        del standalone_mode
        try:
            code = super().main(
                args,
                prog_name,
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
        except WorkbenchError as error:
            code = _fail(f"workbench: {error}", MISTAKE)
        except typer.TyperException as error:
            code = _fail(_usage(error), error.exit_code)
        except typer.Abort:
            code = _fail(_STOPPED, INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run the command of ``ctx`` and write out what it has printed, or say that it was stopped."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe shows here, where it ends the process quietly
        except KeyboardInterrupt:
            raise typer.Exit(_fail(_STOPPED, INTERRUPTED)) from None
        return result


def _usage(error: typer.TyperException) -> str:
    """Return what is wrong with a command line, and where it says how it is meant."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "workbench"
    message = " ".join(error.format_message().replace("Value error, ", "").split())
    stop = "" if message.endswith((".", "?", ")")) else "."
    return f"{command}: {message}{stop} Try '{command} --help'."


def _fail(text: str, code: int) -> int:
    """Print one paragraph, whatever blank lines its parts have, and return ``code``."""
    lines = [line for line in text.splitlines() if line.strip()]
    print_note("\n".join(lines))
    return code
