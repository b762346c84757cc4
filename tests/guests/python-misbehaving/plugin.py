"""Fails, skips and prints on demand."""

import sys
import time

from hookmill_sdk import BadDocument, Skip, plugin


@plugin
def transform(event, draft, settings):
    match settings.get("do"):
        case "throw":
            return look_up(event.doc)
        case "exit":
            sys.exit(3)
        case "raise":
            try:
                look_up({})
            except KeyError as error:
                raise ValueError("not this one") from error
        case "clock":
            return draft.text(str(time.time()))
        case "open":
            return draft.text(open("plugin.py").read())
        case "import":
            import uuid

            return draft.text(uuid.NAMESPACE_DNS.hex)
        case "fail":
            raise BadDocument("failed_on_demand", "failed on demand", "/items/0/qty")
        case "skip":
            return Skip("skipped on demand")
        case "print":
            print("printed", {"a": 1})
            print("and an error", file=sys.stderr)
            return draft.json({"body": draft.body.kind, "meta": event.meta["user"], "before": event.before})


def look_up(doc):
    return doc["nothing"]["name"]
