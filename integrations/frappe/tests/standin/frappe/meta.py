"""Stands for Frappe's metadata: what a DocType's JSON file says."""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

STANDARD_COLUMNS = ("name", "owner", "creation", "modified", "modified_by", "docstatus", "idx")
CHILD_COLUMNS = ("parent", "parentfield", "parenttype")
_WITHOUT_COLUMN = ("Section Break", "Column Break", "Tab Break", "Table", "HTML", "Button")


class Field:
    """A field; what its DocType does not say is None."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> None:
        return None


class Meta:
    """A DocType."""

    def __init__(self, values: dict[str, Any], module: str | None = None) -> None:
        self.name: str = values["name"]
        self.issingle = values.get("issingle", 0)
        self.istable = values.get("istable", 0)
        self.is_submittable = values.get("is_submittable", 0)
        self.autoname: str | None = values.get("autoname")
        self.fields = [Field(field) for field in values["fields"]]
        self._module = module

    def columns(self) -> list[str]:
        own = [field.fieldname for field in self.fields if field.fieldtype not in _WITHOUT_COLUMN]
        return [*STANDARD_COLUMNS, *own, *(CHILD_COLUMNS if self.istable else ())]

    def tables(self) -> list[Field]:
        return [field for field in self.fields if field.fieldtype == "Table"]

    def passwords(self) -> list[str]:
        return [field.fieldname for field in self.fields if field.fieldtype == "Password"]

    def controller(self, default: type) -> type:
        """Returns the class of the DocType's Python file, if it has one."""
        if self._module is None:
            return default
        return getattr(importlib.import_module(self._module), self.name.replace(" ", ""))


class Registry:
    """All DocTypes of a site."""

    def __init__(self) -> None:
        self.metas: dict[str, Meta] = {}

    def define(self, values: dict[str, Any]) -> None:
        self.metas[values["name"]] = Meta(values)

    def read(self, path: str) -> None:
        """Reads a DocType of an app: `…/APP/MODULE/doctype/NAME/NAME.json`."""
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
        parts = os.path.splitext(path)[0].split(os.sep)
        if values.get("doctype") == "DocType":
            self.metas[values["name"]] = Meta(values, ".".join(parts[-5:]))
