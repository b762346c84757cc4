"""Fails, skips and prints on demand."""

import sys

from hookmill_sdk import BadDocument, Skip, plugin


@plugin
def transform(event, draft, settings):
    match settings.get("do"):
        case "throw":
            return look_up(event.doc)
        case "exit":
            sys.exit(3)
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
