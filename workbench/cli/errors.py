"""From what went wrong to one paragraph on standard error and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
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

# What a disk says that takes no more.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

_STOPPED = (
    "workbench: stopped. The workspace is consistent: what was finished is kept, the rest was not begun. "
    "The command can be repeated."
)


class Group(TyperGroup):
    """The root of the commands.

    A user's mistake ends with 2 and a paragraph, and so does what the operating system refuses about a file;
    an interrupt ends with 130 and a sentence; an exception that nobody expected keeps its traceback.
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
        except OSError as error:
            if error.filename is None and error.errno not in _FULL:
                raise
            code = _fail(_refusal(error), MISTAKE)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run the command of ``ctx`` and write out what it has printed, or say that it was stopped."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe shows here, where it ends the process quietly
        except KeyboardInterrupt:
            raise typer.Exit(_fail(_STOPPED, INTERRUPTED)) from None
        return result


def _refusal(error: OSError) -> str:
    """Return what was refused; what could not be printed is let go, else the way out would fail again."""
    if error.filename is not None:
        return f"workbench: {error.filename}: {error.strerror}."
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (until the process ends)
    return (
        f"workbench: what was to be written is cut off: {error.strerror}. Make room, and repeat the command."
    )


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
