"""The time as events carry it: UTC, RFC 3339, and never twice the same in one process."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

_RESOLUTION = timedelta(microseconds=1)
_last = datetime.min.replace(tzinfo=timezone.utc)
_lock = threading.Lock()


def now() -> datetime:
    """Returns the time in UTC."""
    return datetime.now(timezone.utc)


def next_moment() -> datetime:
    """Returns the time in UTC, later than any that this process was given before.

    Events are sent in the order of their times. Two of one transaction must not fall on the same microsecond, and a
    clock that is set back must not turn them round.
    """
    global _last
    with _lock:
        _last = max(now(), _last + _RESOLUTION)
        return _last


def rfc3339(moment: datetime) -> str:
    """Writes a time so that its text sorts as the time does."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str | None) -> datetime | None:
    """Reads what `rfc3339` wrote; nothing, or anything else, gives None."""
    try:
        return datetime.strptime(text or "", "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
