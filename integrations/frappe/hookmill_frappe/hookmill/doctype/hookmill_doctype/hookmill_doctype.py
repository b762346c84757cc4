"""A DocType whose events are recorded."""

from frappe.model.document import Document


class HookmillDocType(Document):
    """A row of Hookmill Settings."""
