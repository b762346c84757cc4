"""One request to hookmill, and what its answer means for each event."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from hookmill_frappe import __version__, clock
from hookmill_frappe.outbox import Refusal, Row
from hookmill_frappe.settings import Connection

# Bytes of an unexpected answer that are shown to a person.
_SHOWN = 300


@dataclass
class Answer:
    """What became of a batch. An event that is in neither list stays as it is."""

    acknowledged: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    # Why the rest has to be sent again later, if there is a rest.
    trouble: str | None = None
    retry_after: float | None = None
    # The batch as a whole was over a limit: of hookmill, or of a proxy before it.
    too_large: bool = False


class _Bearer(requests.auth.AuthBase):
    """Sets the token. Given as a header, requests would let an entry of ~/.netrc replace it."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def send(connection: Connection, rows: list[Row]) -> Answer:
    """Sends the events, one in each line, and reads the answer. Raises nothing that the network may cause."""
    try:
        response = requests.post(
            f"{connection.url}/v1/events",
            data="\n".join(row.payload for row in rows).encode(),
            headers={"Content-Type": "application/x-ndjson", "User-Agent": f"hookmill-frappe/{__version__}"},
            auth=_Bearer(connection.token),
            timeout=connection.timeout,
            # A redirect would turn the POST into a GET, or carry the documents to somebody else.
            allow_redirects=False,
        )
    except requests.RequestException as error:
        return Answer(trouble=f"hookmill can't be reached at {connection.url}: {error}")
    except ValueError as error:
        return Answer(trouble=f"The request can't be built: {error}")
    return read(response.status_code, response.headers, response.content, rows)


def read(status: int, headers: Any, body: bytes, rows: list[Row]) -> Answer:
    """Reads an answer to a batch."""
    content = _object(body)
    if status in (200, 202) and isinstance(content.get("events"), list):
        return _with_rest(_taken(content, rows), [], rows, None)
    if content.get("code") == "events_refused":
        refused, delayed = _errors(content, rows)
        return _with_rest(_taken(content, rows), refused, rows, delayed)
    if status == 413:
        return Answer(too_large=True, trouble=_describe(status, content, body))
    return Answer(trouble=_describe(status, content, body), retry_after=_retry_after(headers))


def _taken(content: dict[str, Any], rows: list[Row]) -> list[str]:
    """Returns the events that the answer names as recorded; only those of this batch count."""
    named = {entry.get("id") for entry in content.get("events") or () if isinstance(entry, dict)}
    return [row.event_id for row in rows if row.event_id in named]


def _errors(content: dict[str, Any], rows: list[Row]) -> tuple[list[Refusal], str | None]:
    """Returns the events that will never be taken, and why others may be taken later."""
    refused: list[Refusal] = []
    delayed: str | None = None
    for entry in content.get("errors") or ():
        line, code, detail = entry.get("line"), str(entry.get("code")), str(entry.get("detail"))
        if not isinstance(line, int) or not 1 <= line <= len(rows):
            continue
        # What is wrong with an event itself has a code that begins so. All others are about hookmill's own state.
        if code.startswith("event_"):
            refused.append(Refusal(rows[line - 1].event_id, code, detail))
        else:
            delayed = delayed or f"hookmill does not take events now: {detail} ({code})"
    return refused, delayed


def _with_rest(acknowledged: list[str], refused: list[Refusal], rows: list[Row], delayed: str | None) -> Answer:
    answered = len(acknowledged) + len(refused)
    if delayed is None and answered < len(rows):
        delayed = f"hookmill's answer names {answered} of {len(rows)} events"
    return Answer(acknowledged=acknowledged, refused=refused, trouble=delayed)


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _describe(status: int, content: dict[str, Any], body: bytes) -> str:
    if "code" in content:
        help_text = f"; {content['help']}" if content.get("help") else ""
        return f"hookmill answered {status} {content['code']}: {content.get('detail')}{help_text}"
    shown = body[:_SHOWN].decode("utf-8", "replace").strip()
    return f"{status} was answered, not by hookmill as it seems: {shown or 'an empty body'}. Check the URL."


def _retry_after(headers: Any) -> float | None:
    """Reads Retry-After: seconds, or a date."""
    value = (headers.get("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - clock.now()).total_seconds())
