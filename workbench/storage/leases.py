"""Leases of readers: while a process reads a generation, the files of it stay.

A lease is a file in ``readers/``, named by generation, hash of the manifest, process and a random part,
and held by ``flock``: the kernel gives it back when its holder dies, so that no lease needs a clock or
outlives its reader. It is never synced, for no reader survives a loss of power.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import socket
import threading
import weakref
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from workbench.logs import get_logger

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Lease", "Leased", "Leases", "leased"]

_NAME = re.compile(r"(?P<generation>\d{10})-(?P<digest>[0-9a-f]{32})-(?P<pid>\d+)-[0-9a-f]{8}")


class Leased(NamedTuple):
    """A generation that a living process reads."""

    generation: int
    digest: str
    pid: int


class Lease:
    """One generation held by this process, until the object is gone or :meth:`release` is called."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.release = weakref.finalize(self, _release, path, descriptor, os.getpid())


class Leases:
    """The leases of this process on one workspace: one a generation, however many snapshots share it.

    Args:
        folder: The workspace's ``readers`` directory; made when it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: weakref.WeakValueDictionary[tuple[int, int, str], Lease] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()
        self._log = get_logger("storage")

    def take(self, generation: int, digest: str) -> Lease | None:
        """Return a lease on a generation, or None where this process may not write.

        Who asks must read CURRENT again afterwards: a generation that was the newest before and after
        is kept from then on.
        """
        # a child that was forked needs its own: its parent takes its lease away when it is done
        key = (os.getpid(), generation, digest)
        with self._lock:
            lease = self._held.get(key)
            if lease is None:
                try:
                    lease = _take(self._folder, generation, digest)
                except OSError as error:
                    # no lease on a read-only or a full disk: a query that loses its files is run again
                    self._log.info("reading without a lease", folder=str(self._folder), reason=str(error))
                    return None
                self._held[key] = lease
            return lease


def leased(folder: Path) -> list[Leased]:
    """Return what living processes read, and remove the leases of dead ones.

    Only the workspace's writer may call this.
    """
    found = []
    for path in sorted(folder.glob("*")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # given back meanwhile
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found.append(Leased(int(match["generation"]), match["digest"], int(match["pid"])))
        else:
            path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
    return found


def _take(folder: Path, generation: int, digest: str) -> Lease:
    path = folder / f"{generation:010d}-{digest}-{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir(exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # between the two calls a collector may have taken the file for a dead reader's
        if os.fstat(descriptor).st_nlink:
            break
        os.close(descriptor)
    note = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat("T", "seconds"),
        "generation": generation,
    }
    with contextlib.suppress(OSError):  # the note is for people
        os.write(descriptor, json.dumps(note).encode())
    return Lease(path, descriptor)


def _release(path: Path, descriptor: int, pid: int) -> None:
    if os.getpid() == pid:
        path.unlink(missing_ok=True)
    os.close(descriptor)
