"""What the site has chosen, and how sending goes: the only place that knows the fields of Hookmill Settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import frappe

from hookmill_frappe import clock

DOCTYPE = "Hookmill Settings"
OWN_DOCTYPES = (DOCTYPE, "Hookmill Outbox", "Hookmill DocType")

DEFAULT_BATCH_ROWS = 500
DEFAULT_BATCH_KB = 1024
DEFAULT_TIMEOUT = 20

# Waits between tries while hookmill can't be reached or takes nothing: 10 s, doubling, up to 5 minutes.
_BACKOFF_FIRST = 10.0
_BACKOFF_MAX = 300.0
# The longest that an answer's Retry-After may hold everything up.
_RETRY_AFTER_MAX = 3600.0


@dataclass(frozen=True)
class Connection:
    """Where events go, and how many at a time."""

    url: str
    token: str
    batch_rows: int
    batch_bytes: int
    timeout: int


def cached() -> Any | None:
    """Returns the settings, or None while this app is not fully installed."""
    if frappe.flags.in_install == "hookmill_frappe":
        return None
    try:
        return frappe.get_cached_doc(DOCTYPE)
    except (frappe.DoesNotExistError, ImportError):
        # The code is there before `bench migrate` has made its tables. Documents are saved meanwhile.
        return None


def wants(config: Any, doctype: str, doc_event: str) -> bool:
    """Tells whether an event is to be recorded."""
    if not config.enabled or not config.get(f"event_{doc_event}"):
        return False
    for flag in ("in_import", "in_patch", "in_install", "in_migrate"):
        if frappe.flags.get(flag) and not config.get(f"capture_{flag}"):
            return False
    return any(row.document_type == doctype for row in config.doctypes)


def connection(config: Any) -> Connection:
    """Returns where to send; the token of site_config.json wins over the one of the form, and may be missing."""
    token = frappe.conf.get("hookmill_token") or _password(config) or ""
    return Connection(
        url=(config.url or "").rstrip("/"),
        token=token.strip(),
        batch_rows=config.batch_rows or DEFAULT_BATCH_ROWS,
        batch_bytes=(config.batch_kb or DEFAULT_BATCH_KB) * 1024,
        timeout=config.timeout or DEFAULT_TIMEOUT,
    )


def _password(config: Any) -> str | None:
    try:
        return config.get_password("token", raise_exception=False)
    except frappe.ValidationError:
        # It was encrypted with the key of another site, of which this one is a copy.
        return None


def is_backing_off(config: Any) -> bool:
    """Tells whether the next try has to wait."""
    next_try = clock.parse(config.next_try_at)
    return next_try is not None and clock.now() < next_try


def record_trouble(config: Any, message: str, retry_after: float | None) -> None:
    """Notes why nothing goes out, where a person looks, and when to try again."""
    failures = (config.failures or 0) + 1
    # The exponent is bounded so that a month without hookmill does not overflow.
    wait = min(_BACKOFF_FIRST * 2 ** min(failures - 1, 10), _BACKOFF_MAX)
    if retry_after is not None:
        wait = min(retry_after, _RETRY_AFTER_MAX)
    _write(config, failures, clock.now() + timedelta(seconds=wait), message)


def record_success(config: Any) -> None:
    """Notes that events go out again."""
    if config.failures or config.next_try_at or config.last_error:
        _write(config, 0, None, "")


def _write(config: Any, failures: int, next_try: datetime | None, message: str) -> None:
    values = {"failures": failures, "next_try_at": clock.rfc3339(next_try) if next_try else "", "last_error": message}
    config.update(values)
    # Not `modified`: whoever has the form open must still be able to save it.
    frappe.db.set_single_value(DOCTYPE, values, update_modified=False)
