"""Check, without a network, that a lock file satisfies pyproject.toml: ``check_lock.py FILE EXTRA …``."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)
# pip's index and link options, and any address: a lock file must read the same on every machine.
PLACE = re.compile(r"^\s*--(?!hash=)\S+|^#.*|\S+://\S+|\s@\s\S+", re.MULTILINE)


def problems(lock: Path, extras: list[str]) -> list[str]:
    """Return what is wrong with a lock file, a line each."""
    text = lock.read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = {canonicalize_name(name): version for name, version in PIN.findall(text)}
    optional = [line for extra in extras for line in project["optional-dependencies"][extra]]
    wanted = [Requirement(line) for line in project["dependencies"] + optional]
    found = [f"names a place or has a comment: {match.group().strip()}" for match in PLACE.finditer(text)]
    for requirement in wanted:
        pin = pins.get(canonicalize_name(requirement.name))
        if pin is None:
            found.append(f"{requirement.name} is not in it")
        elif not requirement.specifier.contains(Version(pin), prereleases=True):
            found.append(f"{requirement.name} is {pin}, pyproject.toml asks for {requirement.specifier}")
    unhashed = len(pins) - len(re.findall(r"^\S+==[^\n]*\\\n\s+--hash=sha256:", text, re.MULTILINE))
    if unhashed:
        found.append(f"{unhashed} pins without a hash")
    return found


def main() -> int:
    """Check the file; return 1 if it is out of date."""
    name, *extras = sys.argv[1:]
    found = problems(ROOT / name, extras)
    for line in found:
        print(f"{name}: {line}; run `make lock`", file=sys.stderr)
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main())
