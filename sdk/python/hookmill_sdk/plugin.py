"""The decorator that makes a function the plugin, and one call of it."""

import sys
import traceback
from typing import Any, Callable, TypeVar, overload

from . import log
from .check import read_settings
from .errors import PluginError
from .event import Event
from .request import Request, Skip

Transform = Callable[[Event, Request, Any], Request | Skip]
F = TypeVar("F", bound=Transform)


@overload
def plugin(function: F) -> F: ...
@overload
def plugin(*, settings: dict[str, Any] | None = None) -> Callable[[F], F]: ...
def plugin(function: Any = None, *, settings: dict[str, Any] | None = None) -> Any:
    """Makes a function of the module that is componentized the plugin's transform.

    `settings` is the shape of the webhook's settings; see `hookmill_sdk.check`. In a component, the decorator also puts
    the class `Transform`, which the component's toolchain looks for, into the function's module.
    """
    if function is None:
        return lambda decorated: plugin(decorated, settings=settings)
    function.settings_shape = settings
    if sys.platform == "wasi":
        from .component import exported

        function.__globals__["Transform"] = exported(function)
    return function


def run(function: Any, event: Event, draft: Request, settings: str) -> Request | Skip:
    """Calls the author's function; whatever it raises comes out as a PluginError."""
    try:
        answer = function(event, draft, read_settings(settings, function.settings_shape))
        if not isinstance(answer, (Request, Skip)):
            message = f"the transform returned {answer!r}, neither a Request nor a Skip; return draft.json(…)"
            raise PluginError("no_decision", message)
        return answer
    except PluginError:
        raise
    except BaseException as error:
        # The first frame is this one, which tells nobody anything.
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        stack = _stack(error, frames)
        log.error(stack)
        words = "".join(traceback.format_exception_only(error)).strip()
        raise PluginError("uncaught_error", f"{words}\n{stack}") from None


def _stack(error: BaseException, frames: Any) -> str:
    """Writes a traceback without marks under the lines: for those, Python parses the line and opens files."""
    whole = traceback.TracebackException(type(error), error, frames)
    reports: list[Any] = [whole]
    while reports:
        report = reports.pop()
        plain = [(frame.filename, frame.lineno, frame.name, frame.line) for frame in report.stack]
        report.stack = traceback.StackSummary.from_list(plain)
        others = (report.__cause__, report.__context__, *(getattr(report, "exceptions", None) or ()))
        reports.extend(other for other in others if other is not None)
    return "".join(whole.format()).strip()
