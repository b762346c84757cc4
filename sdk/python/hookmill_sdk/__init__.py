"""What the author of a hookmill transform plugin in Python imports."""

from . import log
from .check import Optional, check
from .errors import BadDocument, BadSettings, PluginError
from .event import Event
from .exact import Number, dumps, loads
from .plugin import plugin
from .request import Body, Request, Skip

__all__ = [
    "BadDocument",
    "BadSettings",
    "Body",
    "Event",
    "Number",
    "Optional",
    "PluginError",
    "Request",
    "Skip",
    "check",
    "dumps",
    "loads",
    "log",
    "plugin",
]
