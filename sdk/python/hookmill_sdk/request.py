"""What a plugin decides: a request made out of the draft, or none."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .exact import dumps


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request. A `content-type` header, where there is one, wins over the body's own."""

    kind: Literal["empty", "json", "text", "bytes"] = "empty"
    value: str | bytes = ""


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request; each method returns a changed copy. The host adds the id, the time and the signature."""

    method: str
    url: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: Body = Body()

    def json(self, value: Any) -> "Request":
        """Makes `value`, written as compact JSON, the body."""
        return self._with(Body("json", dumps(value)))

    def json_text(self, text: str) -> "Request":
        """Makes JSON that is already text the body."""
        return self._with(Body("json", text))

    def text(self, text: str) -> "Request":
        """Makes plain text the body."""
        return self._with(Body("text", text))

    def bytes(self, content: bytes) -> "Request":
        """Makes bytes the body."""
        return self._with(Body("bytes", content))

    def header(self, name: str, value: str) -> "Request":
        """Sets a header, in place of every header of that name."""
        others = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        return replace(self, headers=[*others, (name, value)])

    def _with(self, body: Body) -> "Request":
        return Request(self.method, self.url, self.headers, body)


@dataclass(frozen=True, slots=True)
class Skip:
    """The decision to send nothing, for this reason."""

    reason: str
