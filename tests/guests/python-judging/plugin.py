"""A plugin with every optional part of the contract: it judges answers, describes itself and checks its settings."""

import json
from dataclasses import replace

from hookmill_sdk import (
    BadSettings, Dead, Delivered, Description, Optional, Retry, by_status, describe, judge, log, plugin, validate_settings
)

SETTINGS = {"channel": str, "url": Optional(str), "method": Optional(str)}


@plugin(settings=SETTINGS)
def transform(event, draft, settings):
    request = draft.header("x-sign", 'Bearer secret("chat-token")')
    request = request.json({"channel": settings["channel"], "seen": event.doc_text})
    return replace(request, url=settings.get("url") or request.url, method=settings.get("method") or request.method)


@judge(settings=SETTINGS)
def verdict(event, answer, settings):
    """Chat services answer 200 and say in the body that they failed."""
    body = answer.text or ""
    log.info(f"judged {answer.status} {body}")
    if answer.status == 409:
        return Delivered()
    if answer.status != 200:
        return by_status(answer)
    if "no_such_channel" in body:
        return Dead("there is no such channel")
    if "slow_down" in body:
        return Retry(3_600)
    if "panic" in body:
        panic()
    return by_status(answer)


def panic():
    raise RuntimeError("panicked in judge")


@describe
def words():
    text = {"type": "string"}
    schema = {
        "type": "object",
        "required": ["channel"],
        "additionalProperties": False,
        "properties": {"channel": text, "url": text, "method": text},
    }
    return Description("judging", "1.2.3", "Sends chat messages", schema)


@validate_settings(settings=SETTINGS)
def check_channel(settings):
    channel = settings["channel"]
    if not channel.startswith("#"):
        yield BadSettings("no_channel", f"a channel begins with #, and {json.dumps(channel)} does not", "/channel")
