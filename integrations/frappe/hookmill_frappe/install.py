"""What is said and set when the app is installed on a site."""

from __future__ import annotations

import frappe


def before_install() -> None:
    """Has Frappe look again at which modules its apps have.

    The list was read from Redis when this process started, and there it is as old as the site's last visit: from before
    apps.txt named this app. With it, Frappe would make none of the DocTypes.
    """
    frappe.setup_module_map()


def after_install() -> None:
    """Saves the settings with their defaults, switched off, and tells what would be sent twice."""
    frappe.get_single("Hookmill Settings").save(ignore_permissions=True)
    print("hookmill: open Hookmill Settings to give the URL, the token and the DocTypes, then enable it.")
    webhooks = frappe.get_all("Webhook", filters={"enabled": 1}, fields=["name", "webhook_doctype"])
    if webhooks:
        names = ", ".join(sorted(f"{row.name} ({row.webhook_doctype})" for row in webhooks))
        print(
            f"hookmill: {len(webhooks)} Webhooks of Frappe are enabled: {names}. They go on as before. "
            "Disable each one when hookmill has its counterpart, or its receiver gets both."
        )
