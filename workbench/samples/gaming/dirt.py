"""What the log's writers get wrong: words for nothing, blanks, spellings, and names that are no names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from workbench.samples.gaming.columns import Column

__all__ = ["BLANKED", "CLEAN", "SENT_EMPTY", "Dirt", "find_dirt", "misnamed", "nothing"]

BLANKED = frozenset({"currency", "game", "memberCode", "platform", "rGroup"})
# what is rarer than this is not sent at all where there is nothing to say
SENT_EMPTY = 0.05

_NULL_SHARE, _BLANK_SHARE = 0.06, 0.01
_KEYS = 1 << 16
# Old clients send a field under the name that it had when they were built: web, Android, the others.
_SPELLINGS = {
    "Login": ("affiliateId", "affiliateid", "affiliateID"),
    "GameOpened": ("affiliateId", "affiliateid", "affiliateid"),
    "API Error": ("affiliateId", "affiliateId", "affiliateID"),
    "PopupModule": ("affiliateid", "affiliateid", "affiliateid"),
    "v2/GridClick": ("affiliateID", "affiliateID", "affiliateID"),
    "v2/PopUpModule": ("affiliateId", "affiliateId", "affiliateId"),
}
_SPELLED = "affiliateId"
# A collector that split answers at the wrong places made columns of their markup.
_MARKUP = {
    "errorTitle": "<title>502 Bad Gateway</title>",
    "errorBody": '<div class="error-page"><h1>Something went wrong</h1><p>Please try again later',
    "errorHelp": '<p style="font-family: sans-serif; margin: 0 auto; max-width: 40em">If you are the owner '
    'of this site, see the <a href="/support/errors">list of errors</a> and what to do about each.</p>',
    "popupMarkup": '<div class="popup__body" data-v-7ba5bd90>',
    "popupButton": "<button>Claim now</button>",
    "promoMarkup": '<img src="/assets/promo/tile@2x',
    "loginNotice": "<b>New</b>: log in with your fingerprint&nbsp;",
}


@dataclass(frozen=True)
class Dirt:
    """Which rows of a table are written wrongly.

    Attributes:
        unfilled: Rows whose writer has a word for nothing.
        word: For each of them, which word: the place in what :func:`nothing` returns.
        blank: Rows with blanks after some values.
    """

    unfilled: NDArray[np.int64]
    word: NDArray[np.int32]
    blank: NDArray[np.int64]


CLEAN = Dirt(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int64))


def find_dirt(writers: NDArray[np.uint64], rows: NDArray[np.uint64]) -> Dirt:
    """Return which rows are written wrongly.

    Args:
        writers: A mixed number of what wrote each row: it has one word for nothing, or none.
        rows: A mixed number of each row.
    """
    writer = (writers % np.uint64(_KEYS)).astype(np.int32)
    unfilled = np.flatnonzero(writer < _NULL_SHARE * _KEYS)
    blank = np.flatnonzero(rows % np.uint64(_KEYS) < np.uint64(_BLANK_SHARE * _KEYS))
    return Dirt(unfilled, writer[unfilled] % len(nothing(numeric=False)), blank)


def nothing(*, numeric: bool) -> tuple[str, ...]:
    """Return what writers put where there is nothing to say."""
    return ("NaN" if numeric else "undefined", "null", "None", "")


def misnamed(path: str, columns: Iterable[Column]) -> Iterator[Column]:
    """Yield the columns of an event type under the names that its files have for them.

    Args:
        path: The directory of the files, such as ``v2/GridClick``.
        columns: The columns under their right names.
    """
    spellings = _SPELLINGS[path]
    for column in columns:
        if column.name == _SPELLED:
            for name in dict.fromkeys(spellings):
                clients = frozenset(n for n, spelling in enumerate(spellings) if spelling == name)
                yield replace(column, name=name, when=("client", clients))
        elif column.name in _MARKUP:
            yield replace(column, name=_MARKUP[column.name])
        else:
            yield column
