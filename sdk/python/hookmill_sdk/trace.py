"""An error that the author did not foresee: its message and stack reach the log and whoever asked."""

import traceback
from typing import Any

from . import log
from .errors import PluginError


def uncaught(error: BaseException) -> PluginError:
    """Logs the error's stack, from behind the function that caught it, and returns the failure that tells of it."""
    # The first frame is the SDK's, which tells nobody anything.
    frames = error.__traceback__.tb_next if error.__traceback__ else None
    stack = _stack(error, frames)
    log.error(stack)
    words = "".join(traceback.format_exception_only(error)).strip()
    return PluginError("uncaught_error", f"{words}\n{stack}")


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
