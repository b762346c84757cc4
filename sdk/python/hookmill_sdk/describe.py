"""What a plugin says of itself, and its own checks of settings."""

import json
from dataclasses import dataclass
from typing import Any, Callable, Iterable, TypeVar, overload

from .check import read_settings
from .errors import PluginError
from .parts import export
from .trace import uncaught


@dataclass(frozen=True, slots=True)
class Description:
    """A plugin in its author's words."""

    name: str
    """Its name, for people."""
    version: str
    """The author's version, for people."""
    description: str
    """What it does."""
    settings: dict[str, Any] | None = None
    """A JSON Schema that the host holds every webhook's settings against."""


D = TypeVar("D", bound=Callable[[], Description])
V = TypeVar("V", bound=Callable[[Any], Iterable[PluginError] | None])


def describe(function: D) -> D:
    """Makes a function of the plugin's module the one that describes the plugin.

    In a component, the decorator also puts the class `Describe` into the function's module.
    """
    export("describe", function)
    return function


@overload
def validate_settings(function: V) -> V: ...
@overload
def validate_settings(*, settings: dict[str, Any] | None = None) -> Callable[[V], V]: ...
def validate_settings(function: Any = None, *, settings: dict[str, Any] | None = None) -> Any:
    """Makes a function of the plugin's module the check of a webhook's settings, when the webhook is saved.

    The settings fit the description's JSON Schema and then the shape `settings`, as in `plugin`. What else is wrong with
    them is yielded or returned, each a BadSettings with the place, or raised.
    """
    if function is None:
        return lambda decorated: validate_settings(decorated, settings=settings)
    function.settings_shape = settings
    export("validate_settings", function)
    return function


def run_describe(function: Any) -> str:
    """Returns the JSON that the contract asks for; what the author's function raises is logged, and comes out."""
    if function is None:
        return "{}"
    try:
        told = function()
        words = {name: getattr(told, name) for name in ("name", "version", "description", "settings")}
        return json.dumps({name: word for name, word in words.items() if word is not None}, ensure_ascii=False)
    except BaseException as error:
        raise uncaught(error) from None


def run_validate(function: Any, settings: str) -> list[PluginError]:
    """Returns everything that is wrong with settings; a check that fails has not taken them."""
    problems: list[PluginError] = []
    if function is None:
        return problems
    try:
        for problem in function(read_settings(settings, function.settings_shape)) or ():
            if not isinstance(problem, PluginError):
                raise TypeError(f"{problem!r} is no BadSettings")
            problems.append(problem)
    except PluginError as error:
        problems.append(error)
    except BaseException as error:
        problems.append(uncaught(error))
    return problems
