"""The way between the contract's types and the SDK's, inside a component."""

import builtins
import linecache
import os.path
import sys
import time
from typing import Any

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log as host
from wit_world.imports import types as wit

from . import log
from .describe import run_describe, run_validate
from .errors import PluginError
from .event import Event
from .judge import Answer, Dead, Retry, run_judge
from .plugin import run
from .request import Body, Request, Skip

_LEVELS = {level.name.lower(): level for level in host.Level}
_FAILURES = {"bad-document": wit.Failure_BadDocument, "bad-settings": wit.Failure_BadSettings, "other": wit.Failure_Other}
_BODIES = {"json": wit.Body_Json, "text": wit.Body_Text, "bytes": wit.Body_Bytes}
_KINDS = {wit.Body_Json: "json", wit.Body_Text: "text", wit.Body_Bytes: "bytes"}

log.write = lambda level, message: host.log(_LEVELS[level], message)
sys.stdout = log.Printed("info")
sys.stderr = log.Printed("error")


def exported(part: str, function: Any) -> tuple[str, type]:
    """Returns the class that the component exports for a part of the contract, and the name that its module gives it."""
    _keep_sources(os.path.dirname(function.__code__.co_filename))
    match part:
        case "transform":
            return "Transform", _transform(function)
        case "response":
            return "Response", _response(function, _base("Response"))
        case _:
            describe = function.__globals__.get("Describe") or _describe(_base("Describe"))
            describe.author[part] = function
            return "Describe", describe


def _base(name: str) -> type:
    """Returns the contract's class of an optional part; without it, what the author wrote would never be asked."""
    base = getattr(exports, name, None)
    if base is None:
        message = f"the component is built without the interface {name.lower()}"
        # The toolchain does not show the error's own words.
        print(f"{message}; build it in the world that `python -m hookmill_sdk.world plugin` tells", file=sys.__stderr__)
        raise RuntimeError(message)
    return base


def _transform(function: Any) -> type:
    class Transform(exports.Transform):
        def transform(self, event: wit.Event, draft: wit.Request, settings: str) -> wit.Decision:
            _seal()
            try:
                answer = run(function, _event(event), _draft(draft), settings)
            except PluginError as error:
                raise Err(_FAILURES[error.kind](_problem(error))) from None
            if isinstance(answer, Skip):
                return wit.Decision_Skip(answer.reason)
            body = _BODIES[answer.body.kind](answer.body.value) if answer.body.kind != "empty" else wit.Body_Empty()
            return wit.Decision_Send(wit.Request(answer.method, answer.url, answer.headers, body))

    return Transform


def _response(function: Any, base: Any) -> type:
    class Response(base):
        def judge(
            self, event: wit.Event, status: int, headers: list[tuple[str, str]], body: bytes, settings: str
        ) -> wit.Verdict:
            _seal()
            verdict = run_judge(function, _event(event), Answer(status, headers, body), settings)
            if isinstance(verdict, Dead):
                return wit.Verdict_Dead(verdict.reason)
            return wit.Verdict_Retry(verdict.seconds) if isinstance(verdict, Retry) else wit.Verdict_Delivered()

    return Response


def _describe(base: Any) -> type:
    class Describe(base):
        # Either of the author's functions may be left out.
        author: dict[str, Any] = {}

        def describe(self) -> str:
            _seal()
            return run_describe(self.author.get("describe"))

        def validate_settings(self, settings: str) -> None:
            _seal()
            problems = run_validate(self.author.get("validate_settings"), settings)
            if problems:
                raise Err([_problem(problem) for problem in problems])

    return Describe


def _problem(error: PluginError) -> wit.Problem:
    return wit.Problem(error.code, error.message, error.path)


def _keep_sources(folder: str) -> None:
    """Reads the author's source files while they are there: a traceback shows their lines, a component has no files."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and os.path.dirname(file).startswith(folder):
            linecache.getlines(file)
    linecache.checkcache = lambda filename=None: None
    linecache.updatecache = lambda filename, module_globals=None: []


class _NoImports:
    """Stands for the finder of modules in files, which a component does not have when it runs."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        raise ImportError(f"{name} is imported while the plugin runs; import it at the top of the file", name=name)


def _denied(what: str) -> Any:
    def denied(*_: Any, **__: Any) -> Any:
        raise PluginError("not_granted", what)

    return denied


def _seal() -> None:
    """Puts words where the first call would end in a trap that says nothing. While the component is built, all is there."""
    if _NoImports in sys.meta_path:
        return
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") != "PathFinder"]
    sys.meta_path.append(_NoImports)
    builtins.open = _denied("a plugin has no files; read what it needs at the top of its module")
    for clock in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"):
        setattr(time, clock, _denied("a plugin has no clock; take the time from event.occurred_at"))


def _event(event: wit.Event) -> Event:
    return Event(
        id=event.id,
        tenant=event.tenant,
        doctype=event.doctype,
        doc_event=event.doc_event,
        doc_name=event.doc_name,
        occurred_at=event.occurred_at,
        doc_text=event.doc,
        before_text=event.before,
        meta=event.meta,
    )


def _draft(draft: wit.Request) -> Request:
    kind = _KINDS.get(type(draft.body))
    body = Body(kind, draft.body.value) if kind else Body()
    return Request(draft.method, draft.url, draft.headers, body)
