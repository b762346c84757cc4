"""Which events go to hookmill, and where it is."""

from urllib.parse import urlsplit

import frappe
from frappe import _
from frappe.model.document import Document

from hookmill_frappe import settings, wake


class HookmillSettings(Document):
    """The site's one set of settings; read through settings.py."""

    def validate(self) -> None:
        """Refuses what could not work, and forgets past failures: what is new deserves a try."""
        self._validate_connection()
        self._validate_doctypes()
        self.failures, self.next_try_at, self.last_error = 0, "", ""

    def on_update(self) -> None:
        """Sends what waits as soon as the settings are committed."""
        if self.enabled:
            wake.after_commit()

    def _validate_connection(self) -> None:
        if not self.enabled:
            return
        try:
            parts = urlsplit((self.url or "").strip())
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            frappe.throw(_("URL must be like http://127.0.0.1:8470"))
        self.url = self.url.strip()
        if not settings.connection(self).token:
            frappe.throw(_("Token is missing: give it here, or as hookmill_token in site_config.json"))

    def _validate_doctypes(self) -> None:
        for row in self.doctypes:
            if row.document_type in settings.OWN_DOCTYPES:
                frappe.throw(_("{0} belongs to this app and has no events to send").format(row.document_type))
            if frappe.get_meta(row.document_type).istable:
                frappe.throw(
                    _("{0} is a child table: its rows come with their document, which is to be chosen").format(
                        row.document_type
                    )
                )
