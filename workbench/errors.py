"""Every error that workbench raises on purpose.

The tree, with the standard exception that each also is where users expect one::

    WorkbenchError
    ├── UsageError (ValueError)            a call or command that cannot be meant
    │   └── UnknownNameError (KeyError)    a name that does not exist; near misses are suggested
    ├── ConfigError (ValueError)           a setting or a YAML file is wrong; says file and line
    ├── DriverError
    │   ├── DriverUnavailableError         the driver exists but cannot run here; says why
    │   ├── DriverClashError               two drivers claim one name
    │   ├── ExecutorError                  the cluster that runs something is lost, or nobody answers there
    │   └── KernelFailedError              a backend's library gave up on one call
    ├── ProviderError                      a language model's provider gave no answer; says why
    │   ├── ProviderAuthError              the key is missing, wrong or not enough
    │   ├── ProviderConnectionError (ConnectionError)  nobody answers there
    │   ├── ProviderTimeoutError (TimeoutError)        no whole answer within the time limit
    │   ├── ProviderRateLimitError         too many requests; says when to ask again
    │   ├── ProviderModelError             the provider does not have the model
    │   ├── ProviderContextError           what was sent is too long for the model
    │   ├── ProviderReplyError             an answer that is not what was asked for
    │   └── ProviderBudgetError            the session's or the day's cap is reached; nothing was sent
    ├── NotificationError
    │   ├── NotificationRefusedError       it may not be sent there, or lacks what it needs
    │   └── NotificationFailedError        it could not be delivered; says whether to try again
    ├── ReportFailedError                  a cell of a report's template failed; says which and why
    ├── SourceError                        input that cannot be read at all
    ├── StorageError
    │   ├── ReadOnlyError                  a mirror of a workspace: it is read, never written to
    │   ├── RemoteError                    where a mirror lies, nobody answers or no whole answer comes
    │   ├── WorkspaceError                 not a workspace, or one of a newer format
    │   ├── WriterLockedError              another process writes to this workspace
    │   ├── CorruptFileError               a file is not what the manifest says it is
    │   ├── DiskFullError                  the disk is full, but for the reserve; reading goes on
    │   ├── ClockJumpError                 the clock moved by over a day: nothing is evicted unasked
    │   └── BackPressureError              too many events wait to be published; says when to come again
    └── SqlError                           a statement failed
        ├── SqlRefusedError                a statement that db.sql does not run
        └── SqlTimeoutError (TimeoutError) a statement ran longer than it may

A message says what was asked, what is wrong, where, and what to do about it.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BackPressureError",
    "ClockJumpError",
    "ConfigError",
    "CorruptFileError",
    "DiskFullError",
    "DriverClashError",
    "DriverError",
    "DriverUnavailableError",
    "ExecutorError",
    "KernelFailedError",
    "NotificationError",
    "NotificationFailedError",
    "NotificationRefusedError",
    "ProviderAuthError",
    "ProviderBudgetError",
    "ProviderConnectionError",
    "ProviderContextError",
    "ProviderError",
    "ProviderModelError",
    "ProviderRateLimitError",
    "ProviderReplyError",
    "ProviderTimeoutError",
    "ReadOnlyError",
    "RemoteError",
    "ReportFailedError",
    "SourceError",
    "SqlError",
    "SqlRefusedError",
    "SqlTimeoutError",
    "StorageError",
    "UnknownNameError",
    "UsageError",
    "WorkbenchError",
    "WorkspaceError",
    "WriterLockedError",
    "did_you_mean",
]


class WorkbenchError(Exception):
    """Root of all errors that workbench raises on purpose.

    Args:
        message: What was asked and what is wrong with it, as one or two sentences.
        where: The file, line, segment or name that it is about.
        fix: What the reader can do about it, as one sentence.
    """

    def __init__(self, message: str, *, where: str = "", fix: str = "") -> None:
        self.message = message
        self.where = where
        self.fix = fix
        super().__init__(message)

    def __str__(self) -> str:
        """Return the whole message on one paragraph: where, what, what to do."""
        where = f"{self.where}: " if self.where else ""
        fix = f" {self.fix}" if self.fix else ""
        return f"{where}{self.message}{fix}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how it is made again in another process, whatever its class takes."""
        return _again, (type(self), self.args, self.__dict__)


def _again(cls: type[WorkbenchError], args: tuple[Any, ...], facts: dict[str, Any]) -> WorkbenchError:
    """Return an error as it was."""
    error = cls.__new__(cls, *args)
    error.__dict__.update(facts)
    return error


class UsageError(WorkbenchError, ValueError):
    """A call or a command that cannot be meant as it stands."""


class UnknownNameError(UsageError, KeyError):
    """A name that does not exist.

    Args:
        what: What kind of thing was asked for, for example ``"entity type"``.
        name: The name that was asked for.
        known: The names that exist, from which near misses are suggested.
        where: The file and line, or the object, in which it was looked up.
        fix: What to do instead; made from ``known`` if not given.
    """

    def __init__(
        self, what: str, name: str, known: Iterable[str] = (), *, where: str = "", fix: str = ""
    ) -> None:
        self.name = name
        self.known = sorted(known)
        super().__init__(
            f"there is no {what} {name!r}.", where=where, fix=fix or did_you_mean(name, self.known)
        )


class ConfigError(WorkbenchError, ValueError):
    """A setting or a YAML document is wrong."""


class DriverError(WorkbenchError):
    """A driver could not be loaded or used."""


class DriverUnavailableError(DriverError):
    """The driver exists but cannot run on this machine."""


class DriverClashError(DriverError):
    """Two drivers of one kind claim the same name."""


class ExecutorError(DriverError):
    """What runs something elsewhere is lost: no scheduler answers, or workers die at the same item."""


class KernelFailedError(DriverError):
    """A kernel could not finish on its device: out of memory, not converged, a fault of the device.

    Drivers translate their libraries' exceptions into this one; ``device="auto"`` then tries the
    next backend.
    """


class ProviderError(WorkbenchError):
    """A language model's provider gave no answer.

    The message never holds a key, also where the provider's own message does.

    Args:
        message: What is wrong.
        where: The provider and its address.
        fix: What to do about it.
        transient: Whether the same request may succeed in a moment.
        retry_after: Seconds after which the provider wants to be asked again, if it said so.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        fix: str = "",
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        self.transient = transient
        self.retry_after = retry_after
        super().__init__(message, where=where, fix=fix)


class ProviderAuthError(ProviderError):
    """The key is missing, wrong, or has no right to the model."""


class ProviderConnectionError(ProviderError, ConnectionError):
    """Nobody answers at the provider's address."""


class ProviderTimeoutError(ProviderError, TimeoutError):
    """There was no whole answer within the time limit."""


class ProviderRateLimitError(ProviderError):
    """The provider wants fewer requests."""


class ProviderModelError(ProviderError):
    """The provider does not have the model."""


class ProviderContextError(ProviderError):
    """What was sent is longer than the model's context."""


class ProviderReplyError(ProviderError):
    """An answer that is not what was asked for: no JSON, cut off, endless."""


class ProviderBudgetError(ProviderError):
    """The cap of the session or of the day is reached: nothing was sent."""


class NotificationError(WorkbenchError):
    """A notification of a rule was not delivered."""


class NotificationRefusedError(NotificationError):
    """It may not be sent there: the host is not allowed, or its address is a private one."""


class NotificationFailedError(NotificationError):
    """It could not be delivered.

    Args:
        message: Why.
        again: Whether it makes sense to try again.
        after: Seconds after which, if the other side says so.
        where: The channel.
        fix: What to do.
    """

    def __init__(
        self, message: str, *, again: bool = True, after: float = 0.0, where: str = "", fix: str = ""
    ) -> None:
        self.again = again
        self.after = after
        super().__init__(message, where=where, fix=fix)


class ReportFailedError(WorkbenchError):
    """A cell of a report's template failed; the message names it with its error."""


class SourceError(WorkbenchError):
    """Input that cannot be read at all, as against single bad records, which go to quarantine."""


class StorageError(WorkbenchError):
    """The segment store could not do what it was asked to."""


class ReadOnlyError(StorageError):
    """What would write was asked of a mirror."""


class RemoteError(StorageError):
    """Where a mirror lies, nobody answers, or with a refusal, a fault or half of what was asked for.

    The message never holds a key.
    """


class WorkspaceError(StorageError):
    """The directory is not a workspace, or one that this version cannot open."""


class WriterLockedError(StorageError):
    """Another process holds the workspace's writer lock."""


class CorruptFileError(StorageError):
    """A file of the workspace is missing or is not what the manifest says it is."""


class DiskFullError(StorageError):
    """The disk is full, or would be but for its reserve: nothing new is taken, reading goes on."""


class ClockJumpError(StorageError):
    """The clock of the workspace moved by over a day: what it says is too old is not evicted unasked."""


class BackPressureError(StorageError):
    """So much waits to be published that nothing more is taken for a moment.

    Args:
        message: What waits.
        where: The workspace.
        fix: What to do.
        retry_after: Seconds after which it makes sense to come again.
    """

    def __init__(self, message: str, *, where: str = "", fix: str = "", retry_after: float = 1.0) -> None:
        self.retry_after = retry_after
        super().__init__(message, where=where, fix=fix)


class SqlError(WorkbenchError):
    """A statement failed; the message is DuckDB's own."""


class SqlRefusedError(SqlError):
    """A statement that ``db.sql`` does not run: anything but one SELECT."""


class SqlTimeoutError(SqlError, TimeoutError):
    """A statement ran longer than the time limit and was stopped."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the nearest of ``known``, or lists them.

    >>> did_you_mean("Clik", ["Click", "View"])
    "Did you mean 'Click'?"
    >>> did_you_mean("x", ["Click", "View"])
    'There are: Click, View.'
    >>> did_you_mean("x", [])
    'There are none.'
    """
    names = list(known)
    folded = {n.casefold(): n for n in names}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=1)  # an error must not fail on a None
    if near:
        return f"Did you mean {folded[near[0]]!r}?"
    if not names:
        return "There are none."
    shown = ", ".join(names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"There are: {shown}{more}."
