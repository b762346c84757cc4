"""Stands for Frappe's database: a connection to SQLite with Frappe's transactions and callbacks."""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

from frappe.meta import STANDARD_COLUMNS, Meta


class CallbackManager:
    """Functions that run once, in order, or are dropped."""

    def __init__(self) -> None:
        self._functions: deque[Callable[[], None]] = deque()

    def add(self, function: Callable[[], None]) -> None:
        self._functions.append(function)

    def run(self) -> None:
        while self._functions:
            self._functions.popleft()()

    def reset(self) -> None:
        self._functions.clear()


class Database:
    """One connection; a transaction begins with the first write and ends with commit or rollback.

    With `repeatable_read`, it begins with the first read, too, and shows what was there then, as MariaDB does.
    """

    def __init__(self, file: str, *, with_callbacks: bool = True, repeatable_read: bool = False) -> None:
        self.repeatable_read = repeatable_read
        self._connection = sqlite3.connect(file, timeout=30)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("pragma journal_mode = wal")
        self._after_commit = CallbackManager()
        self._after_rollback = CallbackManager()
        if with_callbacks:
            # Version 15 and newer.
            self.after_commit, self.after_rollback = self._after_commit, self._after_rollback
        # Above zero while a hook runs: Frappe ignores its attempts to end the document's transaction.
        self._disable_transaction_control = 0

    def close(self) -> None:
        self._connection.close()

    def commit(self) -> None:
        if self._disable_transaction_control:
            warnings.warn("a hook tried to commit", stacklevel=2)
            return
        self._after_rollback.reset()
        self._connection.commit()
        self._after_commit.run()

    def rollback(self, *, save_point: str | None = None) -> None:
        if save_point:
            # As in Frappe, callbacks don't know of savepoints.
            self._connection.execute(f"rollback to {save_point}")
        elif self._disable_transaction_control:
            warnings.warn("a hook tried to roll back", stacklevel=2)
        else:
            self._after_commit.reset()
            self._connection.rollback()
            self._after_rollback.run()

    def is_deadlocked(self, error: Exception) -> bool:
        return "deadlock" in str(error.args[0])

    def savepoint(self, save_point: str) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("begin")
        self._connection.execute(f"savepoint {save_point}")

    def sql(self, query: str, values: tuple[Any, ...] | list[Any] = ()) -> list[sqlite3.Row]:
        if self.repeatable_read and not self._connection.in_transaction:
            self._connection.execute("begin")
        return self._connection.execute(query.replace("%s", "?"), [_plain(value) for value in values]).fetchall()

    def create_own_tables(self) -> None:
        self.sql("create table if not exists tabSingles (doctype, field, value)")
        self.sql(
            "create table if not exists __Auth (doctype, name, field, password, primary key (doctype, name, field))"
        )

    def create_table(self, meta: Meta) -> None:
        if meta.issingle:
            return
        columns = ", ".join(f"`{name}`" for name in meta.columns() if name != "name")
        self.sql(f"create table if not exists `tab{meta.name}` (`name` primary key, {columns})")
        for field in meta.fields:
            if field.unique:
                self.sql(f"create unique index if not exists `u{meta.name}` on `tab{meta.name}` (`{field.fieldname}`)")

    def insert(self, doctype: str, values: dict[str, Any]) -> None:
        columns = ", ".join(f"`{name}`" for name in values)
        marks = ", ".join(["%s"] * len(values))
        self.sql(f"insert into `tab{doctype}` ({columns}) values ({marks})", list(values.values()))

    def select(
        self, doctype: str, filters: dict[str, Any], fields: list[str], *, order_by: str | None = None, limit: int = 0
    ) -> list[dict[str, Any]]:
        condition, values = _where(filters)
        names = ", ".join("*" if name == "*" else f"`{name}`" for name in fields)
        query = f"select {names} from `tab{doctype}`{condition}"
        if order_by:
            if not re.fullmatch(r"\w+ (asc|desc)", order_by):
                raise ValueError(order_by)
            query += f" order by {order_by}"
        if limit:
            query += f" limit {int(limit)}"
        return [dict(row) for row in self.sql(query, values)]

    def count(self, doctype: str, filters: dict[str, Any] | None = None) -> int:
        condition, values = _where(filters or {})
        return self.sql(f"select count(*) from `tab{doctype}`{condition}", values)[0][0]

    def delete(self, doctype: str, filters: dict[str, Any]) -> None:
        condition, values = _where(filters)
        self.sql(f"delete from `tab{doctype}`{condition}", values)

    def set_value(self, doctype: str, name: str, values: dict[str, Any]) -> None:
        """Writes columns without any event, as Frappe does."""
        import frappe

        marks = ", ".join(f"`{column}` = %s" for column in values)
        self.sql(f"update `tab{doctype}` set {marks} where `name` = %s", [*values.values(), name])
        frappe.clear_document_cache(doctype, name)

    def singles(self, doctype: str) -> dict[str, Any]:
        rows = self.sql("select field, value from tabSingles where doctype = %s", [doctype])
        return {row["field"]: row["value"] for row in rows}

    def set_single_value(self, doctype: str, values: dict[str, Any], *, update_modified: bool = True) -> None:
        import frappe

        for field, value in values.items():
            self.sql("delete from tabSingles where doctype = %s and field = %s", [doctype, field])
            self.sql("insert into tabSingles (doctype, field, value) values (%s, %s, %s)", [doctype, field, value])
        frappe.clear_document_cache(doctype, doctype)

    def password(self, doctype: str, name: str, field: str) -> str | None:
        query = "select password from __Auth where doctype = %s and name = %s and field = %s"
        rows = self.sql(query, [doctype, name, field])
        return rows[0][0] if rows else None

    def set_password(self, doctype: str, name: str, field: str, password: str) -> None:
        self.sql("insert or replace into __Auth values (%s, %s, %s, %s)", [doctype, name, field, password])


def _where(filters: dict[str, Any]) -> tuple[str, list[Any]]:
    """Conditions of the two kinds that are needed: a value, or `("in", values)`."""
    parts, values = [], []
    for name, wanted in filters.items():
        if isinstance(wanted, tuple):
            operator, options = wanted
            if operator != "in":
                raise ValueError(operator)
            parts.append(f"`{name}` in ({', '.join(['%s'] * len(options))})")
            values.extend(options)
        else:
            parts.append(f"`{name}` = %s")
            values.append(wanted)
    return (f" where {' and '.join(parts)}" if parts else ""), values


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, float, bytes)) else str(value)


__all__ = ["STANDARD_COLUMNS", "CallbackManager", "Database"]
