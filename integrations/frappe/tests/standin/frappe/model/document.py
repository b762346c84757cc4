"""Stands for Frappe's Document: what is called, in which order, when a document is saved.

insert                  before_insert, validate, after_insert, on_update, on_change (with flags.in_insert)
save of a draft         validate, on_update, on_change
submit                  validate, on_update, on_submit, on_change
save after submit       on_update_after_submit, on_change
cancel                  on_cancel, on_change
delete                  on_trash, on_change
db_set                  before_change, on_change
rename                  after_rename
"""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import frappe
from frappe.meta import Field

_PRIVATE = ("_user_tags", "__islocal", "__onload", "_liked_by", "__run_link_triggers", "__unsaved")
_DATES = (datetime.date, datetime.time, datetime.timedelta)


class Document:
    """A document. Its fields are attributes."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.doctype: str = values["doctype"]
        self.name: Any = None
        self.flags = frappe._dict()
        self._doc_before_save: Document | None = None
        self.docstatus, self.idx = 0, 0
        for column in self.meta.columns():
            self.__dict__.setdefault(column, None)
        for table in self.meta.tables():
            self.__dict__[table.fieldname] = []
        self.update(values)

    @property
    def meta(self) -> Any:
        return frappe.get_meta(self.doctype)

    def get(self, name: str, default: Any = None) -> Any:
        return self.__dict__.get(name, default)

    def set(self, name: str, value: Any) -> None:
        table = next((field for field in self.meta.tables() if field.fieldname == name), None)
        if table is None:
            self.__dict__[name] = value
            return
        self.__dict__[name] = []
        for row in value or ():
            self.append(name, row)

    def update(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            self.set(name, value)

    def append(self, name: str, values: dict[str, Any] | Document) -> Document:
        table = next(field for field in self.meta.tables() if field.fieldname == name)
        row = values if isinstance(values, Document) else Document({"doctype": table.options, **values})
        rows = self.__dict__[name]
        row.parent, row.parenttype, row.parentfield = self.name, self.doctype, name
        row.idx = row.idx or len(rows) + 1
        if not row.name:
            row.set("__islocal", 1)
            row.set("__unsaved", 1)
        rows.append(row)
        return row

    def as_dict(self, convert_dates_to_str: bool = False) -> frappe._dict:
        values = frappe._dict()
        for column in self.meta.columns():
            value = self.get(column)
            values[column] = str(value) if convert_dates_to_str and isinstance(value, _DATES) else value
        values["doctype"] = self.doctype
        for table in self.meta.tables():
            values[table.fieldname] = [row.as_dict(convert_dates_to_str) for row in self.get(table.fieldname)]
        for key in _PRIVATE:
            if self.get(key):
                values[key] = self.get(key)
        return values

    def get_doc_before_save(self) -> Document | None:
        return self._doc_before_save

    def get_password(self, field: str, raise_exception: bool = True) -> str | None:
        value = self.get(field)
        if value and set(value) != {"*"}:
            return value
        password = frappe.db.password(self.doctype, self.name, field)
        if password is None and raise_exception:
            frappe.throw(f"{field} is not set")
        return password

    def insert(self, ignore_permissions: bool = False) -> Document:
        self.set("__islocal", True)
        self.set("__unsaved", 1)
        self._stamp()
        self.run_method("before_insert")
        self.name = self.name or self._new_name()
        self.run_method("validate")
        self._save_passwords()
        self.db_insert()
        self._write_children()
        self.run_method("after_insert")
        self.flags.in_insert = True
        self._after_save("submit" if self.docstatus == 1 else "save")
        self.flags.in_insert = False
        self.__dict__.pop("__islocal", None)
        self.__dict__.pop("__unsaved", None)
        return self

    def save(self, ignore_permissions: bool = False) -> Document:
        if self.meta.issingle:
            return self._save_single()
        if self.get("__islocal") or not self.name:
            return self.insert()
        before = load(self.doctype, self.name)
        self._doc_before_save = before
        action = _action(before.docstatus, self.docstatus)
        self._stamp()
        if action in ("save", "submit"):
            self.run_method("validate")
        self._save_passwords()
        self._db_update()
        self._write_children()
        self._after_save(action)
        return self

    def submit(self) -> Document:
        self.docstatus = 1
        return self.save()

    def cancel(self) -> Document:
        self.docstatus = 2
        return self.save()

    def delete(self) -> None:
        frappe.delete_doc(self.doctype, self.name)

    def db_set(self, field: str, value: Any) -> None:
        self.set(field, value)
        if self._doc_before_save is None:
            self._doc_before_save = load(self.doctype, self.name)
        self.run_method("before_change")
        frappe.db.set_value(self.doctype, self.name, {field: value})
        self.run_method("on_change")

    def db_insert(self) -> None:
        self.name = self.name or self._new_name()
        if not self.creation:
            self._stamp()
        frappe.db.insert(self.doctype, self._columns())
        self.set("__islocal", False)

    def run_method(self, method: str, *args: Any) -> None:
        """Calls the controller's method, then the apps' hooks for this DocType and for all."""
        own = getattr(type(self), method, None)
        if own is not None:
            own(self, *args)
        hooks = frappe.get_doc_hooks()
        for handler in hooks.get(self.doctype, {}).get(method, []) + hooks.get("*", {}).get(method, []):
            frappe.db._disable_transaction_control += 1
            try:
                frappe.get_attr(handler)(self, method, *args)
            finally:
                frappe.db._disable_transaction_control -= 1

    def _after_save(self, action: str) -> None:
        events = {
            "save": ["on_update"],
            "submit": ["on_update", "on_submit"],
            "cancel": ["on_cancel"],
            "update_after_submit": ["on_update_after_submit"],
        }
        for event in events[action]:
            self.run_method(event)
        frappe.clear_document_cache(self.doctype, self.name)
        self.run_method("on_change")

    def _save_single(self) -> Document:
        self.name = self.doctype
        self._doc_before_save = load(self.doctype, self.doctype)
        self._stamp()
        self.run_method("validate")
        self._save_passwords()
        columns = self._columns()
        frappe.db.set_single_value(self.doctype, columns)
        self._write_children()
        self._after_save("save")
        return self

    def _save_passwords(self) -> None:
        for field in self.meta.passwords():
            value = self.get(field)
            if value and set(value) != {"*"} and not self.flags.ignore_save_passwords:
                frappe.db.set_password(self.doctype, self.name or self.doctype, field, value)
                self.set(field, "*" * len(value))

    def _write_children(self) -> None:
        for table in self.meta.tables():
            filters = {"parent": self.name, "parenttype": self.doctype, "parentfield": table.fieldname}
            frappe.db.delete(table.options, filters)
            for row in self.get(table.fieldname):
                row.parent = self.name
                row.db_insert()

    def _db_update(self) -> None:
        columns = self._columns()
        del columns["name"]
        frappe.db.set_value(self.doctype, self.name, columns)

    def _columns(self) -> dict[str, Any]:
        return {name: self.get(name) for name in self.meta.columns()}

    def _new_name(self) -> str:
        autoname = self.meta.autoname or ""
        return self.get(autoname[6:]) if autoname.startswith("field:") else uuid.uuid4().hex[:10]

    def _stamp(self) -> None:
        self.modified = str(datetime.datetime.now())
        self.modified_by = frappe.session.user
        self.creation, self.owner = self.creation or self.modified, self.owner or self.modified_by


def _action(before: int, now: int) -> str:
    actions = {(0, 0): "save", (0, 1): "submit", (1, 1): "update_after_submit", (1, 2): "cancel"}
    return actions[int(before or 0), int(now or 0)]


def with_defaults(values: dict[str, Any]) -> Document:
    meta = frappe.get_meta(values["doctype"])
    defaults = {field.fieldname: _cast(field, field.default) for field in meta.fields if field.default is not None}
    return frappe.get_doc({**defaults, **values})


def load(doctype: str, name: str) -> Document:
    """Reads a document with its child rows; a Single that was never saved has its defaults."""
    meta = frappe.get_meta(doctype)
    if meta.issingle:
        singles = frappe.db.singles(doctype)
        if not singles:
            return with_defaults({"doctype": doctype, "name": doctype})
        casts = {field.fieldname: _cast(field, singles.get(field.fieldname)) for field in meta.fields}
        values = {**singles, **casts, "name": doctype}
    else:
        rows = frappe.db.select(doctype, {"name": name}, ["*"])
        if not rows:
            raise frappe.DoesNotExistError(f"{doctype} {name} not found")
        values = rows[0]
    doc = frappe.get_doc({"doctype": doctype, **{key: value for key, value in values.items() if key != "doctype"}})
    for table in meta.tables():
        filters = {"parent": name, "parenttype": doctype, "parentfield": table.fieldname}
        doc.set(table.fieldname, frappe.db.select(table.options, filters, ["*"], order_by="idx asc"))
    return doc


def _cast(field: Field, value: Any) -> Any:
    """Singles and defaults are kept as text."""
    if field.fieldtype in ("Check", "Int"):
        return int(value or 0)
    return value


def delete(doc: Document) -> None:
    doc.run_method("on_trash")
    doc.flags.in_delete = True
    doc.run_method("on_change")
    for table in doc.meta.tables():
        frappe.db.delete(table.options, {"parent": doc.name, "parenttype": doc.doctype})
    frappe.db.delete(doc.doctype, {"name": doc.name})


def rename(doctype: str, old: str, new: str, merge: bool) -> str:
    frappe.db.set_value(doctype, old, {"name": new})
    for table in frappe.get_meta(doctype).tables():
        frappe.db.sql(f"update `tab{table.options}` set parent = %s where parent = %s", [new, old])
    load(doctype, new).run_method("after_rename", old, new, merge)
    return new
