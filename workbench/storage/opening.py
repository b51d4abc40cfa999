"""Opening the files of a workspace: in a directory, or a mirror of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.errors import UsageError
from workbench.settings import Settings, load_settings
from workbench.storage.places import s3_url
from workbench.storage.store import SegmentStore

__all__ = ["new_root", "open_store"]


def new_root(path: str | Path) -> Path:
    """Return the directory in which a workspace is to be made.

    Raises:
        UsageError: If ``path`` is an address.
    """
    address = s3_url(path)
    if address is not None:
        raise UsageError(
            "a workspace is made in a local directory.",
            where=address,
            fix=f"Make it there, then 'workbench mirror {address}'.",
        )
    return Path(path).expanduser().absolute()


def open_store(path: str | Path, **settings: Any) -> tuple[SegmentStore, Settings]:
    """Return a workspace's files and its settings.

    Args:
        path: The workspace directory, or a mirror's address.
        settings: Values that win over ``workbench.toml`` and the environment.

    Raises:
        WorkspaceError: If there is neither.
        ConfigError: If a setting is wrong.
        RemoteError: If a mirror does not answer.
    """
    address = s3_url(path)
    if address is not None:
        from workbench.storage.remote import open_mirror  # noqa: PLC0415  (not at start-up)

        mirrored = open_mirror(address, load_settings(**settings))
        return mirrored, load_settings(mirrored.root, **settings)
    root = Path(path).expanduser().absolute()
    found = load_settings(root, **settings)
    return SegmentStore(root, reserve=found.reserve_bytes, force_network=found.force_network), found
