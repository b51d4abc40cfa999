"""Messages: a title and a text with fixed placeholders; what fills them is strangers' data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from workbench.config.notification import PLACEHOLDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["clean", "filled", "for_slack", "values_of"]

_SHOWN = 20
_LONGEST = 300
_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_GAP = "\u200b"


def clean(text: str, longest: int = _LONGEST) -> str:
    r"""Return a stranger's text on one line: nothing in it steers a screen or reverses what is read.

    >>> clean("a\r\nBcc: x\x1b[31m\u202e")
    'a\\r\\nBcc: x\\x1b[31m\\u202e'
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def for_slack(text: str) -> str:
    r"""Return a stranger's text as Slack and what speaks like it show it: no link, mention or markup.

    >>> for_slack("<!channel> @all [x](http://y)").replace("\u200b", "|")
    '&lt;!channel&gt; @|all [|x]|(http:|//y)'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"[@\[\]*_~`#|]|:(?=//)", lambda match: match[0] + _GAP, text)


def values_of(facts: Mapping[str, Any], subjects: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what stands for each placeholder.

    Args:
        facts: ``rule``, ``name``, ``description``, ``severity``, ``event``, ``at``, ``asof``, ``workspace``.
        subjects: The subjects with ``subject``, ``value``, ``limit``, ``reason`` and ``since``.
    """
    first = subjects[0]
    more = f"and {len(subjects) - _SHOWN:,} more" if len(subjects) > _SHOWN else ""
    named = [clean(str(s["subject"])) for s in subjects[:_SHOWN]]
    reasons = [f"{clean(str(s['subject']))}: {clean(str(s['reason']))}" for s in subjects[:_SHOWN]]
    others = f" and {len(subjects) - 1:,} more" if len(subjects) > 1 else ""
    return {
        **{name: clean(str(facts[name])) for name in facts},
        "count": f"{len(subjects):,}",
        "subject": f"{named[0]}{others}",
        "subjects": ", ".join([*named, *([more] if more else [])]),
        "value": f"{first['value']:.6g}",
        "limit": f"{first['limit']:.6g}",
        "reason": clean(str(first["reason"])),
        "reasons": "\n".join([*reasons, *([more] if more else [])]),
        "since": clean(str(first["since"])),
    }


def filled(template: str, values: Mapping[str, str], escape: Callable[[str], str] = str) -> str:
    """Return a template with its placeholders filled, in one pass: what a value holds is never filled again.

    >>> filled("{name}: {subject} {other}", {"name": "{subject}", "subject": "anna"})
    '{subject}: anna {other}'
    """
    return _PLACEHOLDER.sub(lambda match: escape(values[match[1]]), template)
