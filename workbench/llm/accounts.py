"""What was sent where, how many tokens it took and what it cost; and the caps on both."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.errors import ProviderBudgetError
from workbench.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from workbench.llm.base import Message, Usage

__all__ = ["Accounts", "Entry", "Spent"]

_log = get_logger("llm")


@dataclass(frozen=True)
class Spent:
    """Requests, tokens and cost of a session or of a day."""

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0

    def plus(self, tokens: int, cost: float) -> Spent:
        """Return it with one more request."""
        return Spent(self.requests + 1, self.tokens + tokens, self.cost + cost)


@dataclass(frozen=True)
class Entry:
    """One request.

    Attributes:
        session: Whose.
        provider: Who was asked.
        host: Where; empty for a model in this process.
        model: With which model.
        usage: What it took.
        cost: In the currency of the prices.
        outcome: "ok", "cancelled", or the error's class.
        messages: What was sent.
    """

    session: str
    provider: str
    host: str
    model: str
    usage: Usage
    cost: float
    outcome: str
    messages: Sequence[Message]

    def to_json(self) -> dict[str, Any]:
        """Return it as a line of the file, with the time."""
        return {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "session": self.session,
            "provider": self.provider,
            "host": self.host,
            "model": self.model,
            "sent": self.usage.sent,
            "received": self.usage.received,
            "estimated": self.usage.estimated,
            "cost": self.cost,
            "outcome": self.outcome,
            "messages": [{"role": m.role, "content": m.content} for m in self.messages],
        }


class Accounts:
    """The book of all requests: one file of JSON lines a day (UTC), with what was sent and to whom.

    It lies in the workspace (``llm/2025-06-12.jsonl``), so that the day's cap holds for all processes
    that work there; sessions are counted in this process. Without a folder all is counted here alone.

    Args:
        folder: Where the files lie; None to keep none.
        session_tokens: Most tokens of a session; 0 for no cap.
        day_tokens: Most tokens of a day; 0 for no cap.
        day_cost: The most that a day may cost; 0 for no cap.

    >>> accounts = Accounts(None, session_tokens=100)
    >>> accounts.admit("mine", 60)
    >>> accounts.session("mine").tokens
    0
    """

    def __init__(
        self, folder: Path | None, *, session_tokens: int = 0, day_tokens: int = 0, day_cost: float = 0.0
    ) -> None:
        self._folder = folder
        self._session_tokens = session_tokens
        self._day_tokens = day_tokens
        self._day_cost = day_cost
        self._sessions: defaultdict[str, Spent] = defaultdict(Spent)
        self._days: defaultdict[str, Spent] = defaultdict(Spent)
        self._read: dict[str, int] = {}

    def session(self, name: str) -> Spent:
        """Return what a session has used in this process."""
        return self._sessions[name]

    def today(self) -> Spent:
        """Return what has been used today (UTC), by all processes of the workspace."""
        return self._catch_up(_today())

    def admit(self, session: str, tokens: int) -> None:
        """Let a request of about so many tokens pass.

        Raises:
            ProviderBudgetError: If it would go over a cap.
        """
        used, day = self._sessions[session].tokens, self.today()
        if self._session_tokens and used + tokens > self._session_tokens:
            raise _over("session", used, self._session_tokens, tokens, "llm_session_tokens")
        if self._day_tokens and day.tokens + tokens > self._day_tokens:
            raise _over("day", day.tokens, self._day_tokens, tokens, "llm_day_tokens")
        if self._day_cost and day.cost >= self._day_cost:
            raise ProviderBudgetError(
                f"today's requests have cost {day.cost:.2f} of {self._day_cost:.2f}: nothing was sent.",
                fix="Raise llm_day_cost, or wait until tomorrow (UTC).",
            )

    def record(self, entry: Entry) -> None:
        """Book one request."""
        day = _today()
        self._sessions[entry.session] = self._sessions[entry.session].plus(entry.usage.total, entry.cost)
        if not self._write(day, entry):
            self._days[day] = self._days[day].plus(entry.usage.total, entry.cost)

    def _write(self, day: str, entry: Entry) -> bool:
        if self._folder is None:
            return False
        line = json.dumps(entry.to_json(), ensure_ascii=False).encode() + b"\n"
        try:
            self._folder.mkdir(exist_ok=True)
            # one write to an appending descriptor: lines of several processes do not mix
            file = os.open(self._folder / f"{day}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, line)
            finally:
                os.close(file)
        except OSError as error:
            _log.warning(
                "the book of requests cannot be written; counting in this process", reason=str(error)
            )
            return False
        return True

    def _catch_up(self, day: str) -> Spent:
        """Read the lines that were added to the day's file since."""
        file = self._folder / f"{day}.jsonl" if self._folder is not None else None
        if file is not None and file.exists():
            with file.open("rb") as lines:
                lines.seek(self._read.get(day, 0))
                for line in lines:
                    if not line.endswith(b"\n"):
                        break  # another process is writing it
                    entry = json.loads(line)
                    self._days[day] = self._days[day].plus(entry["sent"] + entry["received"], entry["cost"])
                    self._read[day] = self._read.get(day, 0) + len(line)
        return self._days[day]


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _over(what: str, used: int, cap: int, tokens: int, setting: str) -> ProviderBudgetError:
    return ProviderBudgetError(
        f"the {what} has used {used:,} of {cap:,} tokens, this one may take {tokens:,}: nothing was sent.",
        fix=f"Raise {setting}, or answer without a model.",
    )
