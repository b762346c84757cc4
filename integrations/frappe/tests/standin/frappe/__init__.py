"""A stand-in for Frappe, for tests only. It is not Frappe, and shares no code with it.

Frappe itself can't be installed from PyPI (the package of that name is an empty placeholder), and a real site needs
MariaDB, Redis and bench. This behaves like the parts that the app uses, as observed on Frappe v15:

- the life cycle of a document and the order of its events (model/document.py);
- transactions of a real database, SQLite, with savepoints, and callbacks after commit and rollback (database.py);
- DocTypes from their JSON files, Singles, child tables, passwords, cached documents;
- a queue of jobs that run later, each on a connection of its own.

What it leaves out: permissions, validation of fields, links, workflows, and everything else.
"""

from __future__ import annotations

import importlib
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from frappe.database import Database
from frappe.meta import Meta, Registry


class _dict(dict):
    """A dict whose keys are attributes too; a missing one is None."""

    __getattr__ = dict.get
    __setattr__ = dict.__setitem__

    def copy(self) -> _dict:
        return _dict(self)


class ValidationError(Exception):
    """What `throw` raises."""


class DoesNotExistError(ValidationError):
    """There is no such document."""


class Local:
    """What belongs to one request or job."""

    def __init__(self, site: Site) -> None:
        self.site = site.name
        self.db = Database(site.database_file, with_callbacks=site.version >= 15)
        self.flags = _dict()
        self.session = _dict(user="Administrator")
        self.conf = site.conf


class Site:
    """A site: its folder, its DocTypes, its hooks, and what all its processes share."""

    def __init__(self, folder: str, name: str = "standin.example", version: int = 15) -> None:
        self.folder, self.name, self.version = folder, name, version
        self.database_file = os.path.join(folder, "site.db")
        self.conf = _dict()
        self.registry = Registry()
        self.hooks: dict[str, dict[str, list[str]]] = {}
        self.document_cache: dict[tuple[str, str], Any] = {}
        self.jobs: list[_dict] = []
        self.queue_down = False

    def install(self, hooks_module: str) -> None:
        """Reads an app's DocTypes and document hooks, as `bench install-app` would."""
        hooks = importlib.import_module(hooks_module)
        package = os.path.dirname(hooks.__file__)
        for found, _, files in os.walk(package):
            for file in files:
                if file.endswith(".json"):
                    self.registry.read(os.path.join(found, file))
        for doctype, events in hooks.doc_events.items():
            for event, handler in events.items():
                self.hooks.setdefault(doctype, {}).setdefault(event, []).append(handler)

    def create_tables(self) -> None:
        """Makes what tables are missing, as `bench migrate` would."""
        database = Database(self.database_file)
        database.create_own_tables()
        for meta in self.registry.metas.values():
            database.create_table(meta)
        database.commit()
        database.close()


_site: Site | None = None
local: Local


def init(site: Site) -> None:
    """Begins a request on a site."""
    global _site, local
    _site = site
    local = Local(site)


def destroy() -> None:
    """Ends a request; what was not committed is rolled back."""
    local.db.rollback()
    local.db.close()


@contextmanager
def new_process() -> Iterator[None]:
    """Stands for another request or job: a connection, flags and callbacks of its own.

    Its transaction has begun, for Frappe reads the session's user and language first.
    """
    global local
    outer = local
    local = Local(_site)
    local.db.repeatable_read = True
    local.db.singles("System Settings")
    try:
        yield
        local.db.commit()
    finally:
        local.db.rollback()
        local.db.close()
        local = outer


def run_jobs() -> int:
    """Runs what is queued, as a worker would; returns how many jobs there were."""
    count = 0
    while _site.jobs:
        job = _site.jobs[0]
        with new_process():
            try:
                get_attr(job.method)(**job.kwargs)
            finally:
                # Only a job that has ended makes room for another of its id.
                _site.jobs.pop(0)
        count += 1
    return count


def enqueue(
    method: str,
    queue: str = "default",
    *,
    job_id: str | None = None,
    deduplicate: bool = False,
    **kwargs: Any,
) -> None:
    """Queues a job; one with an id that is queued or running is not queued again."""
    if _site.queue_down:
        raise ConnectionError("the queue can't be reached")
    if deduplicate and any(job.job_id == job_id for job in _site.jobs):
        return
    _site.jobs.append(_dict(method=method, queue=queue, job_id=job_id, kwargs=kwargs))


def get_meta(doctype: str) -> Meta:
    try:
        return _site.registry.metas[doctype]
    except KeyError:
        raise DoesNotExistError(f"DocType {doctype} not found") from None


def get_doc(*args: Any) -> Any:
    """`get_doc(dict)`, or `get_doc(doctype, name)`."""
    from frappe.model.document import Document, load

    if isinstance(args[0], dict):
        return get_meta(args[0]["doctype"]).controller(Document)(dict(args[0]))
    return load(args[0], args[1] if len(args) > 1 else args[0])


def new_doc(doctype: str, **values: Any) -> Any:
    from frappe.model.document import with_defaults

    return with_defaults({"doctype": doctype, **values})


def get_single(doctype: str) -> Any:
    return get_doc(doctype, doctype)


def get_cached_doc(doctype: str, name: str | None = None) -> Any:
    key = (doctype, name or doctype)
    if key not in _site.document_cache:
        _site.document_cache[key] = get_doc(*key)
    return _site.document_cache[key]


def clear_document_cache(doctype: str, name: str) -> None:
    _site.document_cache.pop((doctype, name), None)


def get_all(
    doctype: str,
    filters: dict[str, Any] | None = None,
    fields: list[str] | None = None,
    order_by: str | None = None,
    limit: int = 0,
) -> list[_dict]:
    get_meta(doctype)
    rows = local.db.select(doctype, filters or {}, fields or ["name"], order_by=order_by, limit=limit)
    return [_dict(row) for row in rows]


def delete_doc(doctype: str, name: str) -> None:
    from frappe.model.document import delete

    delete(get_doc(doctype, name))


def rename_doc(doctype: str, old: str, new: str, merge: bool = False) -> str:
    from frappe.model.document import rename

    return rename(doctype, old, new, merge)


def get_doc_hooks() -> dict[str, dict[str, list[str]]]:
    return _site.hooks


def get_attr(path: str) -> Callable[..., Any]:
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def get_site_path(*parts: str) -> str:
    return os.path.join(_site.folder, *parts)


def get_traceback() -> str:
    return traceback.format_exc()


def logger(name: str) -> logging.Logger:
    return logging.getLogger(f"frappe.{name}")


def throw(message: str, exc: type[Exception] = ValidationError) -> None:
    raise exc(message)


def _(text: str) -> str:
    return text


def __getattr__(name: str) -> Any:
    """`frappe.db`, `frappe.flags`, `frappe.session` and `frappe.conf` are those of the request at hand."""
    if name in ("db", "flags", "session", "conf"):
        return getattr(local, name)
    raise AttributeError(name)
