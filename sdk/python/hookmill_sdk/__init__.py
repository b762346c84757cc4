"""What the author of a hookmill transform plugin in Python imports."""

from . import log
from .check import Optional, check
from .describe import Description, describe, validate_settings
from .errors import BadDocument, BadSettings, PluginError
from .event import Event
from .exact import Number, dumps, loads
from .judge import Answer, Dead, Delivered, Retry, Verdict, by_status, judge
from .plugin import plugin
from .request import Body, Request, Skip

__all__ = [
    "Answer",
    "BadDocument",
    "BadSettings",
    "Body",
    "Dead",
    "Delivered",
    "Description",
    "Event",
    "Number",
    "Optional",
    "PluginError",
    "Request",
    "Retry",
    "Skip",
    "Verdict",
    "by_status",
    "check",
    "describe",
    "dumps",
    "judge",
    "loads",
    "log",
    "plugin",
    "validate_settings",
]
