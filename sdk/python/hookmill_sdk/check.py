"""Holds documents and settings against a shape, and says where they differ as a JSON pointer.

A shape is a type (`str`, `int`, `float`, `Number`, `bool`, `object` for anything), a dict of shapes by field, a list with
the one shape of all items, or `Optional` of a shape. `Number` and `float` take ints, too.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .errors import BadDocument, BadSettings
from .exact import Number


@dataclass(frozen=True, slots=True)
class Optional:
    """A shape that may be missing or null."""

    shape: Any


def check(doc: Any, shape: Any) -> Any:
    """Returns a document once it fits a shape; fields that the shape does not name are left alone.

    Raises BadDocument with the code `document_mismatch` and the place.
    """
    wrong = _mismatch(doc, shape, "")
    if wrong:
        raise BadDocument("document_mismatch", f"the document doesn't fit this plugin: {wrong[0]}", wrong[1] or None)
    return doc


def read_settings(text: str, shape: dict[str, Any] | None) -> dict[str, Any]:
    """Reads a webhook's settings; a shape refuses fields that it does not name."""
    # Most webhooks have none, and then there is nothing to parse.
    settings = {} if text == "{}" or text.strip() in ("", "null") else json.loads(text)
    if shape is None:
        return settings
    unknown = next((key for key in settings if key not in shape), None) if settings else None
    wrong = _mismatch(settings, shape, "")
    if unknown is not None:
        wrong = (f"unknown field `{unknown}`", f"/{_escaped(unknown)}")
    if wrong:
        message = f"the webhook's settings don't fit this plugin: {wrong[0]}"
        raise BadSettings("settings_mismatch", message, wrong[1] or None)
    return settings


_ACCEPTED: dict[Any, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (float, int, Decimal),
    Number: (Number, int),
}
_WORDS = {str: "a string", bool: "a boolean", int: "an integer", float: "a number", Number: "a number"}


def _mismatch(value: Any, shape: Any, path: str) -> tuple[str, str] | None:
    if isinstance(shape, Optional):
        return None if value is None else _mismatch(value, shape.shape, path)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return _differs("an object", value, path)
        for field, wanted in shape.items():
            found = value.get(field)
            # Most fields are simple and fit; only the others are worth a path.
            if type(found) is (wanted.shape if isinstance(wanted, Optional) else wanted):
                continue
            if field not in value and not isinstance(wanted, Optional):
                return f"missing field `{field}`", path
            wrong = _mismatch(found, wanted, f"{path}/{_escaped(field)}")
            if wrong:
                return wrong
        return None
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _differs("an array", value, path)
        for index, item in enumerate(value):
            wrong = _mismatch(item, shape[0], f"{path}/{index}")
            if wrong:
                return wrong
        return None
    if shape is object:
        return None
    if isinstance(value, _ACCEPTED[shape]) and (shape is bool or not isinstance(value, bool)):
        return None
    return _differs(_WORDS[shape], value, path)


def _differs(expected: str, value: Any, path: str) -> tuple[str, str]:
    return f"expected {expected}, found {_kind(value)}", path


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, dict):
        return "an object"
    return "an array" if isinstance(value, list) else "a number"


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
