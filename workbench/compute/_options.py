"""What kernels say of options that they cannot take, and of themselves where a backend lacks them."""

from __future__ import annotations

from workbench.errors import KernelFailedError, UsageError

__all__ = ["lacks", "require"]


def require(holds: bool, option: str, value: float, allowed: str) -> None:
    """Raise a UsageError unless an option is in its range."""
    if not holds:
        raise UsageError(f"{option} is {value}, must be {allowed}.")


def lacks(backend: object, kernel: str, *_: object) -> KernelFailedError:
    """Return the error that a backend does not implement a kernel."""
    return KernelFailedError(f"{type(backend).__name__} does not implement {kernel}")
