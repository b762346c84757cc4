"""Where Frappe calls this app."""

app_name = "hookmill_frappe"
app_title = "Hookmill"
app_publisher = "the hookmill contributors"
app_description = "Hands the document events of this site to hookmill, and loses none"
app_license = "MIT"

before_install = "hookmill_frappe.install.before_install"
after_install = "hookmill_frappe.install.after_install"

_capture = "hookmill_frappe.capture.on_doc_event"

doc_events = {
    "*": {
        "after_insert": _capture,
        "on_update": _capture,
        "on_submit": _capture,
        "on_cancel": _capture,
        "on_update_after_submit": _capture,
        "on_change": _capture,
        "on_trash": _capture,
        "after_rename": _capture,
    }
}

# Frappe 16 and newer: a task that a Workflow Transition can be given; older ones don't read this.
workflow_methods = [
    {"name": "Send workflow_transition to hookmill", "method": "hookmill_frappe.capture.workflow_transition"}
]

# What a commit did not wake, and what waits for hookmill to come back, goes out with the scheduler's next tick: a minute in
# Frappe 15, four in newer ones, unless scheduler_tick_interval in common_site_config.json says otherwise.
scheduler_events = {"cron": {"* * * * *": ["hookmill_frappe.drain.drain"]}}
