"""What Frappe's worker does for each event of a webhook, one after another.

A stand-in with the same calls: the rows of the webhook into an object, `json.dumps`, HMAC-SHA256, base64, and
`requests.request` without a session. What Frappe does besides is left out, all of it to Frappe's favour: taking the job
from Redis, forking for it, connecting to the database, reading the document and the Webhook, writing the log.

Usage: frappe_worker.py URL EVENTS SECRET < the document as JSON
"""

import base64
import hashlib
import hmac
import json
import sys
import time

import requests

FIELDS = {"id": "name", "customer": "party_name", "total": "grand_total", "items": "items"}


def send(url, secret, doc):
    data = {key: doc.get(fieldname) for key, fieldname in FIELDS.items()}
    digest = hmac.new(secret.encode(), json.dumps(data).encode(), hashlib.sha256).digest()
    headers = {"X-Frappe-Webhook-Signature": base64.b64encode(digest), "Content-Type": "application/json"}
    answer = requests.request(
        method="POST", url=url, data=json.dumps(data, default=str), headers=headers, timeout=5
    )
    answer.raise_for_status()


def main():
    url, events, secret = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    doc = json.load(sys.stdin)
    for number in range(20):
        send(url, secret, {**doc, "name": f"WARM-{number:08}"})
    begun = time.perf_counter()
    for number in range(events):
        send(url, secret, {**doc, "name": f"PY-{number:08}"})
    print(time.perf_counter() - begun)


main()
