"""The worker process of ``db.sql``: ``python -m workbench.sql.worker CONFIG``.

It speaks frames on standard input and output, and ends by itself when its standard input closes, which is
also what happens when the parent dies.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import shutil
import sys
import threading
from io import FileIO
from typing import TYPE_CHECKING, Any

from workbench.sql import frames

if TYPE_CHECKING:
    from workbench.sql.database import Config

__all__ = ["main"]

BASE_BYTES = 768 * 2**20  # writable address space of Python, DuckDB and Arrow
THREAD_BYTES = 16 * 2**20  # a thread's stack and its allocator's
UNITS = {"MB": 10**6, "GB": 10**9}
LAST_MOMENTS = 1.0  # seconds that a statement may still take once nobody waits for it


def limit_memory(memory: str, threads: int) -> None:
    """Bound the process's writable memory to twice DuckDB's limit and a base, and switch core dumps off.

    DuckDB counts its buffers only: ``repeat('x', 3000000000)`` took 5.8 GB under a limit of 256 MB. Under the
    bound such an allocation fails, and the statement with it.
    """
    bound = int(2 * float(memory[:-2]) * UNITS[memory[-2:]]) + BASE_BYTES + threads * THREAD_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _listen(requests: queue.SimpleQueue[dict[str, Any] | None], scratch: str, done: threading.Event) -> None:
    """Queue the requests as they come, and end the process when there is nobody left to ask."""
    source = FileIO(0, "rb", closefd=False)
    try:
        while True:
            _, payload = frames.read(source)
            requests.put(json.loads(payload))
    except EOFError:
        requests.put(None)
    if not done.wait(LAST_MOMENTS):
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(0)


def main(argv: list[str]) -> None:
    """Serve until standard input closes."""
    config: Config = json.loads(argv[1])
    limit_memory(config["memory"], config["threads"])
    # Arrow runs without numpy, whose import would take a third of the start-up.
    sys.modules["numpy"] = None  # type: ignore[assignment]
    output = FileIO(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print must not end up between the frames
    requests: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    done = threading.Event()
    threading.Thread(target=_listen, args=(requests, config["scratch"], done), daemon=True).start()

    from workbench.sql.executor import Executor  # noqa: PLC0415  (DuckDB starts under the bound)

    try:
        executor = Executor(config, output)
        while (request := requests.get()) is not None:
            executor.answer(request)
    except BrokenPipeError:  # nobody reads the answer any more
        pass
    finally:
        done.set()
    shutil.rmtree(config["scratch"], ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv)
