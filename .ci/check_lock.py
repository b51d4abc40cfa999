"""Check, without a network, that lock files satisfy pyproject.toml: ``check_lock.py FILE=EXTRA …``."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
# pip's index and link options, and any address: a lock file must read the same on every machine.
PLACE = re.compile(r"^\s*--(?!hash=)\S+|^#.*|\S+://\S+|\s@\s\S+", re.MULTILINE)


def problems(lock: Path, extra: str) -> list[str]:
    """Return what is wrong with one lock file, a line each."""
    text = lock.read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = {canonicalize_name(name): version for name, version in PIN.findall(text)}
    wanted = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"][extra]]
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
    """Check every file that was named; return 1 if one is out of date."""
    wrong = 0
    for argument in sys.argv[1:]:
        name, extra = argument.split("=")
        for line in problems(ROOT / name, extra):
            print(f"{name}: {line}; run `make lock`", file=sys.stderr)
            wrong += 1
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
