"""Drivers by name: one file each, found without being imported, loaded on access.

A *driver kind* is a package with a ``base.py`` that holds an abstract subclass of :class:`Driver`.
Every other module in the package is a driver, named by the file's stem. Installed distributions
add drivers through an entry-point group of the package's name, for example::

    [project.entry-points."workbench.connectors"]
    syslog = "my_package.syslog"

The entry point names a module that holds one driver class, just like a file of the package.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import os
import pkgutil
import sys
from abc import ABC
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from workbench.errors import DriverClashError, DriverError, DriverUnavailableError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Driver", "DriverInfo", "Registry"]


def _search_path() -> tuple[tuple[str, int], ...]:
    """Return where distributions may be installed, and when that last changed."""

    def changed(place: str) -> int:
        try:
            return os.stat(place or ".").st_mtime_ns  # noqa: PTH116  (before each use of a driver)
        except OSError:
            return 0

    return tuple((place, changed(place)) for place in sys.path)


@functools.lru_cache(maxsize=64)
def _entry_points(
    group: str,
    searched: tuple[tuple[str, int], ...],  # noqa: ARG001  (what the answer holds for)
) -> tuple[importlib.metadata.EntryPoint, ...]:
    """Return the entry points of a group: reading every installed distribution takes milliseconds."""
    return tuple(importlib.metadata.entry_points(group=group))


class Driver(ABC):  # noqa: B024  (each kind of driver adds its own)
    """What all drivers have in common.

    Attributes:
        requires: Import names of the libraries that the driver needs beyond the core set.
        extra: Name of the optional dependency set that brings them, if there is one.
    """

    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""

    @classmethod
    def can_run(cls) -> Literal[True] | str:
        """Return True, or the reason why the driver cannot run here. Imports none of ``requires``."""
        missing = [name for name in cls.requires if importlib.util.find_spec(name) is None]
        if not missing:
            return True
        hint = f"; they come with the extra {cls.extra!r}" if cls.extra else ""
        return f"needs {', '.join(missing)}, not installed{hint}"


D = TypeVar("D", bound=Driver)


@dataclass(frozen=True)
class DriverInfo:
    """One line of ``workbench drivers``: ``reason`` is empty where the driver can run."""

    kind: str
    name: str
    origin: str
    summary: str
    requires: tuple[str, ...]
    reason: str


class Registry(Generic[D]):
    """The drivers of one kind.

    Args:
        kind: What a driver of this kind is called in messages, for example ``"connector"``.
        package: The package whose modules are drivers, also the entry-point group.
        base: The abstract class that each driver module subclasses exactly once.
        shared: Modules of the package that are no drivers, besides ``base`` and those with an underscore.

    >>> from workbench.connectors import connectors
    >>> "parquet" in connectors.names()
    True
    """

    def __init__(self, kind: str, package: str, base: type[D], *, shared: Collection[str] = ()) -> None:
        self.kind = kind
        self.package = package
        self.base = base
        self._no_drivers = {"base", *shared}

    def _modules(self) -> dict[str, tuple[str, str]]:
        """Map each name to its module and to where it comes from; raise on a clash."""
        path = importlib.import_module(self.package).__path__
        found = {
            m.name: (f"{self.package}.{m.name}", "workbench")
            for m in pkgutil.iter_modules(path)
            if m.name not in self._no_drivers and not m.name.startswith("_")
        }
        for point in _entry_points(self.package, _search_path()):
            origin = point.dist.name if point.dist else point.value
            if point.name in found and found[point.name][0] != point.value:
                raise DriverClashError(
                    f"{self.kind} {point.name!r} is claimed by {found[point.name][1]} and by {origin}.",
                    fix="Uninstall one of them or rename its entry point.",
                )
            found[point.name] = (point.value, origin)
        return dict(sorted(found.items()))

    def names(self) -> list[str]:
        """Return the names of all drivers, sorted, without importing any of them."""
        return list(self._modules())

    def load(self, name: str) -> type[D]:
        """Import the driver's module and return its class.

        Raises:
            UnknownNameError: If there is no driver of that name; near misses are suggested.
            DriverError: If the module does not hold exactly one driver class.
        """
        modules = self._modules()
        if name not in modules:
            raise UnknownNameError(self.kind, name, modules)
        module = importlib.import_module(modules[name][0])
        classes = [
            c
            for c in vars(module).values()
            if isinstance(c, type) and issubclass(c, self.base) and c.__module__ == module.__name__
        ]
        if len(classes) != 1:
            raise DriverError(
                f"{self.kind} {name!r} must define one subclass of {self.base.__name__}, has {len(classes)}.",
                where=module.__name__,
            )
        return classes[0]

    def create(self, name: str, *arguments: Any, **options: Any) -> D:
        """Return a new driver, made with what its class takes.

        Raises:
            DriverUnavailableError: If the driver says that it cannot run here, with its reason.
        """
        cls = self.load(name)
        reason = cls.can_run()
        if reason is not True:
            raise DriverUnavailableError(f"{self.kind} {name!r} cannot run here: {reason}.")
        return cls(*arguments, **options)

    def describe(self) -> list[DriverInfo]:
        """Return one :class:`DriverInfo` for each driver. Loads driver modules, not what they require."""
        infos = []
        for name, (_, origin) in self._modules().items():
            cls = self.load(name)
            reason = cls.can_run()
            summary = (cls.__doc__ or "").strip().split("\n")[0]
            infos.append(
                DriverInfo(self.kind, name, origin, summary, cls.requires, "" if reason is True else reason)
            )
        return infos
