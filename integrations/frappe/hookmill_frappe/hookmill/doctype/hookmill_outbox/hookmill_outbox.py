"""An event that hookmill has not acknowledged yet."""

import frappe
from frappe import _
from frappe.model.document import Document

from hookmill_frappe import wake


class HookmillOutbox(Document):
    """A row that is made beside its document (see capture.py); saved here only when a person sends it again."""

    def validate(self) -> None:
        """Refuses to send an event that has no content."""
        if self.status == "Pending" and not self.payload:
            frappe.throw(_("This event has no content, because its document could not be written as JSON. Delete it."))

    def on_update(self) -> None:
        """Sends it again as soon as it is committed."""
        if self.status == "Pending":
            wake.after_commit()
