"""The attempt's log: what a plugin writes here, or prints, stands beside its request.

In a component the lines go to the host. Elsewhere they go to stderr, or to `hookmill_sdk.testing.call`.
"""

import io
import sys
from typing import Callable


def debug(message: object) -> None:
    """Writes a line for the plugin's author."""
    write("debug", str(message))


def info(message: object) -> None:
    """Writes a line on the ordinary course of things."""
    write("info", str(message))


def warn(message: object) -> None:
    """Writes a line on something odd."""
    write("warn", str(message))


def error(message: object) -> None:
    """Writes a line on what keeps the plugin from its work."""
    write("error", str(message))


def _to_stderr(level: str, message: str) -> None:
    print(f"{level}: {message}", file=sys.stderr)


write: Callable[[str, str], None] = _to_stderr


class Printed(io.TextIOBase):
    """A stream whose lines are logged: a component has no other standard output."""

    def __init__(self, level: str) -> None:
        self._level = level
        self._line = ""

    def writable(self) -> bool:
        """Says that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Logs the lines that are complete."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            write(self._level, line)
        return len(text)
