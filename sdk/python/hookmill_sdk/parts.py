"""The parts of the contract that a plugin's module implements, each by a decorated function."""

import sys
from typing import Any

found: set[str] = set()


def export(part: str, function: Any) -> None:
    """Notes a part; in a component, also puts the class that the toolchain looks for into the function's module."""
    found.add(part)
    if sys.platform == "wasi":
        from .component import exported

        name, made = exported(part, function)
        function.__globals__[name] = made
