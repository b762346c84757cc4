"""Numbers in the document's own spelling: a float forgets that 2.50 was not 2.5, and rounds what has many digits."""

import json
from decimal import Decimal
from json.encoder import encode_basestring as quoted
from math import isfinite
from typing import Any, Callable

from .errors import PluginError


# Looked up once, for there is a number in every other field.
_new = Decimal.__new__


class Number(Decimal):
    """A JSON number that is written as it was spelled, and otherwise reckons as the Decimal that it is."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "Number":
        self = _new(cls, text)
        self.text = text
        return self

    def __str__(self) -> str:
        return self.text

    def __format__(self, spec: str, *rest: Any) -> str:
        return super().__format__(spec, *rest) if spec else self.text


def loads(text: str) -> Any:
    """Parses JSON with each number that is no plain integer as a Number."""
    return _DECODER.decode(text)


def dumps(value: Any) -> str:
    """Writes compact JSON with each Number as it is spelled.

    Raises PluginError with the code `body_unwritable` for what JSON can't hold.
    """
    try:
        # The standard encoder is quick but knows no decimals.
        return _ENCODER.encode(value)
    except _NotPlain:
        parts: list[str] = []
        _write(value, parts.append)
        return "".join(parts)
    except (TypeError, ValueError, RecursionError) as error:
        raise _unwritable(str(error)) from None


def _integer(text: str) -> int | Number:
    # An int has no negative zero, and Python reads no more digits than this.
    return Number(text) if text == "-0" or len(text) > 4000 else int(text)


class _NotPlain(Exception):
    pass


def _refuse(value: Any) -> Any:
    raise _NotPlain


# Made once, and with them a part of the component: to make one takes longer than to parse a small document.
_DECODER = json.JSONDecoder(parse_float=Number, parse_int=_integer)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_refuse)


def _write(value: Any, put: Callable[[str], None]) -> None:
    if isinstance(value, str):
        put(quoted(value))
    elif isinstance(value, Number) and value.is_finite():
        put(value.text)
    elif isinstance(value, dict):
        separator = "{"
        for key, item in value.items():
            if not isinstance(key, str):
                raise _unwritable(f"the key {key!r} is no string")
            # Most values are text or numbers; only the others are worth a call.
            if isinstance(item, str):
                put(f"{separator}{quoted(key)}:{quoted(item)}")
            elif isinstance(item, Number) and item.is_finite():
                put(f"{separator}{quoted(key)}:{item.text}")
            else:
                put(f"{separator}{quoted(key)}:")
                _write(item, put)
            separator = ","
        put("}" if value else "{}")
    elif isinstance(value, (list, tuple)):
        separator = "["
        for item in value:
            put(separator)
            _write(item, put)
            separator = ","
        put("]" if value else "[]")
    elif isinstance(value, Decimal) and value.is_finite():
        put(str(value))
    elif value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and isfinite(value)):
        put(json.dumps(value))
    else:
        raise _unwritable(f"{value!r} is a {type(value).__name__}")


def _unwritable(cause: str) -> PluginError:
    return PluginError("body_unwritable", f"the body can't be written as JSON: {cause}")
