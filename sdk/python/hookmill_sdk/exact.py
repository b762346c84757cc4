"""Numbers in the document's own spelling: a float forgets that 2.50 was not 2.5, and rounds what has many digits."""

import json
from decimal import Decimal
from typing import Any

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
    _numbers.clear()
    try:
        pieces = _ENCODER.encode(value).split(f'"{_PLACE}"')
    except (TypeError, ValueError, RecursionError) as error:
        raise _unwritable(str(error)) from None
    if len(pieces) != len(_numbers) + 1:
        raise _unwritable("a text is half of a surrogate pair")
    written = [""] * (2 * len(_numbers) + 1)
    written[::2], written[1::2] = pieces, _numbers
    return "".join(written)


def _integer(text: str) -> int | Number:
    # An int has no negative zero, and Python reads no more digits than this.
    return Number(text) if text == "-0" or len(text) > 4000 else int(text)


# The standard encoder is quick but knows no decimals. So it is given a text for each, which no text that can leave the
# component is equal to: half of a surrogate pair.
_PLACE = "\udfff"
_numbers: list[str] = []


def _place(value: Any) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(f"{value!r} is a {type(value).__name__}")
    if not value.is_finite():
        raise ValueError(f"{value!r} is no number of JSON")
    _numbers.append(str(value))
    return _PLACE


# Made once, and with them a part of the component: to make one takes longer than to parse a small document.
_DECODER = json.JSONDecoder(parse_float=Number, parse_int=_integer)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_place)


def _unwritable(cause: str) -> PluginError:
    return PluginError("body_unwritable", f"the body can't be written as JSON: {cause}")
