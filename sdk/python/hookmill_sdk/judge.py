"""What a receiver's answer means, in the author's word."""

from dataclasses import dataclass
from typing import Any, Callable, TypeVar, overload

from . import log
from .check import read_settings
from .errors import BadSettings, PluginError
from .event import Event
from .parts import export
from .trace import uncaught


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered."""

    status: int
    """The HTTP status."""
    headers: list[tuple[str, str]]
    """Names, in lower case, and values."""
    body: bytes
    """The body, up to the 64 KiB that the host reads."""

    def header(self, name: str) -> str | None:
        """Returns the value of a header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def text(self) -> str | None:
        """The body as text, if it is UTF-8."""
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The verdict that the receiver has it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The verdict to try again: after so many seconds if given, else as the webhook's schedule has it."""

    seconds: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not (type(self.seconds) is int and 0 <= self.seconds < 2**32):
            raise ValueError(f"a retry waits for a whole number of seconds, and {self.seconds!r} is none")


@dataclass(frozen=True, slots=True)
class Dead:
    """The verdict to give it up, for this reason."""

    reason: str


Verdict = Delivered | Retry | Dead


def by_status(answer: Answer) -> Verdict:
    """Judges as the host does without a plugin's word: 2xx is delivered, 410 ends it, all else is tried again."""
    if 200 <= answer.status <= 299:
        return Delivered()
    return Dead("the receiver answered 410 Gone") if answer.status == 410 else Retry()


Judge = Callable[[Event, Answer, Any], Verdict]
F = TypeVar("F", bound=Judge)


@overload
def judge(function: F) -> F: ...
@overload
def judge(*, settings: dict[str, Any] | None = None) -> Callable[[F], F]: ...
def judge(function: Any = None, *, settings: dict[str, Any] | None = None) -> Any:
    """Makes a function of the plugin's module the judge of receivers' answers; `settings` is as in `plugin`.

    A judge that raises leaves the word to the status. In a component, the decorator also puts the class `Response` into
    the function's module.
    """
    if function is None:
        return lambda decorated: judge(decorated, settings=settings)
    function.settings_shape = settings
    export("response", function)
    return function


def run_judge(function: Any, event: Event, answer: Answer, settings: str) -> Verdict:
    """Calls the author's judge; what it raises is logged, and comes out as a PluginError."""
    try:
        read = read_settings(settings, function.settings_shape)
    except BadSettings as error:
        log.error(error.message)
        return by_status(answer)
    try:
        verdict = function(event, answer, read)
        if not isinstance(verdict, Verdict):
            message = f"the judge returned {verdict!r}, which is no verdict; return by_status(answer) or another"
            raise PluginError("no_verdict", message)
        return verdict
    except PluginError as error:
        log.error(f"{error.code}: {error.message}" + (f" (at {error.path})" if error.path else ""))
        raise
    except BaseException as error:
        raise uncaught(error) from None
