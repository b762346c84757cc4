"""Runs a plugin in an ordinary Python process, as the host would, for its own tests."""

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Iterator

from . import log
from .describe import run_validate
from .errors import PluginError
from .event import Event
from .exact import dumps, loads
from .judge import Answer, Verdict, run_judge
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
    with _logging_to(outcome.log):
        try:
            answer = run(function, _event(loads(envelope)), draft, json.dumps(settings or {}))
            if isinstance(answer, Skip):
                outcome.skipped = answer.reason
            else:
                outcome.request = answer
        except PluginError as error:
            outcome.failure = error
    return outcome


@dataclass
class Judged:
    """What came of asking a judge; where it failed, the host judges by the status."""

    verdict: Verdict | None = None
    failure: PluginError | None = None
    log: list[str] = field(default_factory=list)


def call_judge(function: Any, envelope: str, answer: Answer, settings: Any = None) -> Judged:
    """Asks a judge what an answer to an event means."""
    judged = Judged()
    with _logging_to(judged.log):
        try:
            judged.verdict = run_judge(function, _event(loads(envelope)), answer, json.dumps(settings or {}))
        except PluginError as error:
            judged.failure = error
    return judged


def call_validate_settings(function: Any, settings: Any) -> list[PluginError]:
    """Returns everything that a plugin finds wrong with settings."""
    with _logging_to([]):
        return run_validate(function, json.dumps(settings))


@contextmanager
def _logging_to(lines: list[str]) -> Iterator[None]:
    outer, log.write = log.write, lambda level, message: lines.append(f"{level}: {message}")
    try:
        yield
    finally:
        log.write = outer


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
