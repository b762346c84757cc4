"""Runs a plugin in an ordinary Python process, as the host would, for its own tests."""

import json
from dataclasses import dataclass, field
from typing import Any

from . import log
from .errors import PluginError
from .event import Event
from .exact import dumps, loads
from .plugin import run
from .request import Request, Skip


@dataclass
class Outcome:
    """What came of a call: a request, a skip or a failure; and the lines that were logged, each with its level."""

    request: Request | None = None
    skipped: str | None = None
    failure: PluginError | None = None
    log: list[str] = field(default_factory=list)


def call(function: Any, envelope: str, settings: Any = None, draft: Request | None = None) -> Outcome:
    """Calls a plugin as the host does, with the text of an event as `POST /v1/events` takes it."""
    draft = draft or Request("POST", "https://receiver.example/in")
    outcome = Outcome()
    outer, log.write = log.write, lambda level, message: outcome.log.append(f"{level}: {message}")
    try:
        answer = run(function, _event(loads(envelope)), draft, json.dumps(settings or {}))
        if isinstance(answer, Skip):
            outcome.skipped = answer.reason
        else:
            outcome.request = answer
    except PluginError as error:
        outcome.failure = error
    finally:
        log.write = outer
    return outcome


def _event(envelope: dict[str, Any]) -> Event:
    name = envelope["doc"].get("name")
    before = envelope.get("before")
    meta = dict(envelope.get("meta") or {})
    if "user" in envelope:
        meta["user"] = envelope["user"]
    return Event(
        id=envelope.get("id", "evt_test"),
        tenant="default",
        doctype=envelope["doctype"],
        doc_event=envelope["doc_event"],
        doc_name="" if name is None or isinstance(name, (bool, dict, list)) else str(name),
        occurred_at=envelope.get("occurred_at", "2026-01-01T00:00:00Z"),
        doc_text=dumps(envelope["doc"]),
        before_text=None if before is None else dumps(before),
        meta=meta.items(),
    )
