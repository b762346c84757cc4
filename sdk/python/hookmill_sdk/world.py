"""`python -m hookmill_sdk.world plugin` prints the world of the plugin in the module `plugin`.

A component exports what its author wrote, and nothing else; the toolchain has to be told before it runs the module.
"""

import contextlib
import importlib
import sys

from . import parts


def world(module: str) -> str:
    """Imports a plugin's module and returns its world."""
    parts.found.clear()
    # What it prints is not the answer.
    with contextlib.redirect_stdout(sys.stderr):
        importlib.import_module(module)
    if "transform" not in parts.found:
        raise SystemExit(f"the module {module} has to hold a function with the decorator @plugin")
    describes = not parts.found.isdisjoint({"describe", "validate_settings"})
    if "response" in parts.found:
        return "full-plugin" if describes else "judging-plugin"
    return "describing-plugin" if describes else "plugin"


if __name__ == "__main__":
    print(world(sys.argv[1]))
