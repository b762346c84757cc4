"""The event as a plugin sees it: its texts are parsed when they are first asked for."""

import json
from functools import cached_property
from typing import Any, Iterable

from .exact import loads


class Event:
    """Something that happened to a document."""

    def __init__(
        self,
        *,
        id: str,
        tenant: str,
        doctype: str,
        doc_event: str,
        doc_name: str,
        occurred_at: str,
        doc_text: str,
        before_text: str | None,
        meta: Iterable[tuple[str, str]],
    ) -> None:
        self.id = id
        """The event's id, the same on every try."""
        self.tenant = tenant
        """Whose event it is."""
        self.doctype = doctype
        """The kind of document, for example `Quotation`."""
        self.doc_event = doc_event
        """What happened, for example `on_update`."""
        self.doc_name = doc_name
        """The document's name; empty if it has none."""
        self.occurred_at = occurred_at
        """When it happened, in RFC 3339."""
        self.doc_text = doc_text
        """The document in the publisher's own text."""
        self.before_text = before_text
        """The text of the document before the change, if the publisher sent it."""
        self.meta = dict(reversed(list(meta)))
        """What the publisher or the host adds, for example `user`."""

    @cached_property
    def doc(self) -> dict[str, Any]:
        """The document with ints and floats: `2.50` becomes 2.5, and many digits are rounded."""
        return json.loads(self.doc_text)

    @cached_property
    def exact(self) -> dict[str, Any]:
        """The document with each number that is no int as a `Number`, a Decimal that is written as it is spelled."""
        return loads(self.doc_text)

    @cached_property
    def before(self) -> dict[str, Any] | None:
        """The document before the change, if the publisher sent it."""
        return None if self.before_text is None else json.loads(self.before_text)
