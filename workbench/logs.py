"""Structured logs through structlog and the standard library's loggers, quiet until configured."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from workbench.settings import Settings

__all__ = ["configure", "get_logger"]

_ROOT = "workbench"


def get_logger(stage: str) -> Any:
    """Return a structured logger of one stage: ``log.info("sealed", segment=…, rows=…)``.

    Lines go to the standard logger ``workbench.<stage>`` with their facts as extra attributes, so that
    an application that configures logging decides what becomes of them.
    """
    root = logging.getLogger(_ROOT)
    if not root.handlers:
        root.addHandler(logging.NullHandler())  # else warnings reach the screen by logging's last resort
    return structlog.wrap_logger(
        logging.getLogger(f"{_ROOT}.{stage}"),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def configure(settings: Settings) -> None:
    """Send log lines at ``settings.log_level`` and above to standard error, as text or JSON.

    Called by the command line; an application with a logging configuration of its own does not need it.
    """
    render: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger(_ROOT)
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    root.propagate = False
