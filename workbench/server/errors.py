"""From what went wrong to a status code and JSON that says what, where and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from workbench.errors import (
    ConfigError,
    DriverUnavailableError,
    ReadOnlyError,
    SqlError,
    SqlTimeoutError,
    UnknownNameError,
    UsageError,
    WorkbenchError,
    WriterLockedError,
)
from workbench.logs import get_logger

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

__all__ = ["answer_errors", "error_document", "internal_error", "refused", "status_of"]

# The first that fits counts.
_STATUS: tuple[tuple[type[WorkbenchError], int], ...] = (
    (UnknownNameError, 404),
    (SqlTimeoutError, 504),
    (SqlError, 400),
    (UsageError, 400),
    (ConfigError, 400),
    (ReadOnlyError, 403),
    (WriterLockedError, 409),
    (DriverUnavailableError, 503),
)


def status_of(error: WorkbenchError) -> int:
    """Return the status code of an error.

    >>> from workbench.errors import UnknownNameError, WorkbenchError
    >>> status_of(UnknownNameError("view", "x")), status_of(WorkbenchError("no"))
    (404, 500)
    """
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def error_document(error: WorkbenchError) -> dict[str, Any]:
    """Return an error as JSON data."""
    return {
        "error": {
            "type": type(error).__name__,
            "message": error.message,
            "where": error.where,
            "fix": error.fix,
        }
    }


def refused(message: str, where: str, fix: str = "") -> dict[str, Any]:
    """Return why a request cannot be answered as it stands."""
    return _plain("RequestError", message, where, fix)


def internal_error(where: str) -> dict[str, Any]:
    """Return what is said of an error that nobody expected: nothing of its inside."""
    return _plain("InternalError", "the server failed.", where, "Its log says why.")


def answer_errors(app: FastAPI) -> None:
    """Let an application answer every error in one form."""

    @app.exception_handler(WorkbenchError)
    async def expected(_: Request, error: WorkbenchError) -> JSONResponse:
        return JSONResponse(error_document(error), status_of(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return JSONResponse(refused(f"{first['msg']}.", where, "See /api/openapi.json."), 422)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        fix = "See /api/docs for what there is." if error.status_code == 404 else ""
        document = refused(str(error.detail), request.url.path, fix)
        return JSONResponse(document, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        get_logger("server").error("failed", path=request.url.path, exc_info=error)
        return JSONResponse(internal_error(request.url.path), 500)


def _plain(kind: str, message: str, where: str, fix: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message, "where": where, "fix": fix}}
