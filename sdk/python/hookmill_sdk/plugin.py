"""The decorator that makes a function the plugin, and one call of it."""

from typing import Any, Callable, TypeVar, overload

from .check import read_settings
from .errors import PluginError
from .event import Event
from .parts import export
from .request import Request, Skip
from .trace import uncaught

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
    export("transform", function)
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
        raise uncaught(error) from None
