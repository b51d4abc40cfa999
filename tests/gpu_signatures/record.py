"""Compare the recorded GPU signatures with the libraries' wheels, or record them anew.

    python tests/gpu_signatures/record.py            compare; exit status 1 and the difference if they differ,
                                                     3 if the wheels cannot be had
    python tests/gpu_signatures/record.py --write    write signatures-26.10.json

Downloads the Python-level wheels (14 MB) into ``--cache`` and reads their sources; imports nothing of
them, so it needs no GPU.
"""

from __future__ import annotations

import argparse
import difflib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from gpu_calls import CHECKED, library_uses
from wheel_signatures import read_name

HERE = Path(__file__).parent
RECORD = HERE / "signatures-26.10.json"
WHEELS = {"cudf-cu13": "26.10.2", "cugraph-cu13": "26.10.0", "cuml-cu13": "26.10.0", "rmm-cu13": "26.10.0"}
NOT_HAD = 3
# What stands for a module's source where it is compiled is in the wheels too.
SOURCES = (".py", ".pyi", ".pyx")
# pip matches each glibc level on its own; the wheels name these two.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_24_x86_64")


def unpack(cache: Path) -> Path:
    """Return a folder with the unpacked wheels, downloading what the cache lacks."""
    site = cache / "site"
    for name, version in WHEELS.items():
        pattern = f"{name.replace('-', '_')}-{version}-*.whl"
        if not list(cache.glob(pattern)):
            download(f"{name}=={version}", cache)
        (wheel,) = cache.glob(pattern)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site, [member for member in archive.namelist() if member.endswith(SOURCES)])
    return site


def download(requirement: str, folder: Path) -> None:
    """Download one wheel, without what it depends on."""
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    tags = ["--implementation", "cp", "--python-version", "3.11", "--abi", "abi3", *platforms]
    subprocess.run([*pip, *tags, "--dest", str(folder), requirement], check=True)


def measure(site: Path) -> dict[str, object]:
    """Return the record of every library name that the package uses."""
    names = sorted({use.name for file in CHECKED for use in library_uses(file.read_text())})
    return {"versions": WHEELS, "signatures": {name: read_name(site, name) for name in names}}


def main() -> int:
    """Compare or write; return the exit status."""
    parser = argparse.ArgumentParser(description="Compare the recorded GPU signatures with the wheels.")
    parser.add_argument("--write", action="store_true", help="write the record instead of comparing")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "workbench-gpu-wheels")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    try:
        site = unpack(options.cache)
    except subprocess.CalledProcessError as error:
        print(f"not compared, the wheels cannot be had: pip said {error.returncode}")  # noqa: T201
        return NOT_HAD
    measured = json.dumps(measure(site), indent=2, sort_keys=True) + "\n"
    if options.write:
        RECORD.write_text(measured)
        print(f"wrote {RECORD.name}")  # noqa: T201
        return 0
    recorded = RECORD.read_text()
    print(f"{RECORD.name} {'agrees' if recorded == measured else 'DIFFERS'}: {WHEELS}")  # noqa: T201
    sys.stdout.writelines(
        difflib.unified_diff(recorded.splitlines(True), measured.splitlines(True), "recorded", "wheels", n=0)
    )
    return int(recorded != measured)


if __name__ == "__main__":
    sys.exit(main())
