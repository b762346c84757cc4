"""How quickly a real site of Frappe sends a Webhook, and hookmill the same one, in turns on the same machine.

Beside the stand-in of frappe_worker.py, which does what is left of it without Frappe, this needs a bench of Frappe 15 or newer
with its database and Redis running. It makes a Webhook and a Note of its own on the site, and removes them in the end.

Usage, in the bench's folder `sites`: ../env/bin/python FRAPPE_SITE.py SITE HOOKMILL [ROUNDS]
"""

import asyncio
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time

import frappe
from frappe.integrations.doctype.webhook.webhook import enqueue_webhook

NAME = "hookmill-bench"
TOKEN = "a-token-for-benches"
JOBS, CALLS, EVENTS = 30, 300, 10_000
ROWS = {"id": "name", "title": "title", "text": "content"}


class Receiver(asyncio.Protocol):
    """Answers 200 to whatever is sent, and counts."""

    count = 0

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, rest = self.buffer.partition(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            Receiver.count += 1
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def listen():
    """Starts the receiver in a thread; returns its port."""
    started = threading.Event()
    port = []

    async def serve():
        server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0, backlog=1024)
        port.append(server.sockets[0].getsockname()[1])
        started.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    started.wait()
    return port[0]


def until(count):
    while Receiver.count < count:
        time.sleep(0.002)


def by_worker(doc):
    """Frappe's own worker, from its first request to its last: its start is not counted."""
    frappe.utils.background_jobs.get_queue("default").empty()
    for _ in range(JOBS):
        method = "frappe.integrations.doctype.webhook.webhook.enqueue_webhook"
        frappe.enqueue(method, doc=doc, webhook=frappe._dict(name=NAME), queue="default")
    before = Receiver.count
    worker = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "worker", "--queue", "default", "--burst", "--quiet"]
    process = subprocess.Popen(worker, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(before + 1)
    begun = time.perf_counter()
    until(before + JOBS)
    took = time.perf_counter() - begun
    process.wait()
    return (JOBS - 1) / took


def by_calls(doc):
    """What the worker calls for each job, in a loop: no queue, no process for each."""
    begun = time.perf_counter()
    for _ in range(CALLS):
        enqueue_webhook(doc, frappe._dict(name=NAME))
        frappe.db.commit()
    return CALLS / (time.perf_counter() - begun)


def by_hookmill(binary, port, doc):
    with tempfile.TemporaryDirectory(dir=".") as data:
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--data", data, "--allow", "127.0.0.0/8", "--token", TOKEN]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        address = server.stdout.readline().strip().rsplit("//", 1)[1].rstrip("/")

        def call(method, path, body, content_type):
            connection = http.client.HTTPConnection(address, timeout=60)
            connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status < 300, text

        webhook = {
            "doctype": "Note", "doc_event": "on_update", "request_url": f"http://127.0.0.1:{port}/in", "profile": "frappe-v15",
            "data": [{"key": key, "fieldname": field} for key, field in ROWS.items()],
            "headers": [{"key": "Content-Type", "value": "application/json"}],
        }
        call("PUT", "/v1/webhooks/bench", json.dumps(webhook), "application/json")
        fields = json.loads(json.dumps(doc.as_dict(convert_dates_to_str=True), default=str))
        event = {"doctype": "Note", "doc_event": "on_update"}
        lines = [json.dumps({**event, "doc": {**fields, "name": f"note-{n}"}}) for n in range(EVENTS)]
        before, begun = Receiver.count, time.perf_counter()
        for first in range(0, EVENTS, 500):
            call("POST", "/v1/events", "\n".join(lines[first : first + 500]), "application/x-ndjson")
        until(before + EVENTS)
        took = time.perf_counter() - begun
        server.terminate()
        server.wait()
        return EVENTS / took


def main():
    site, binary, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 3
    port = listen()
    frappe.init(site, sites_path=".")
    frappe.connect()
    frappe.set_user("Administrator")
    frappe.delete_doc_if_exists("Webhook", NAME, force=1)
    webhook = frappe.get_doc({
        "doctype": "Webhook", "name": NAME, "webhook_doctype": "Note", "webhook_docevent": "on_update",
        "request_url": f"http://127.0.0.1:{port}/in", "request_method": "POST",
        "webhook_data": [{"key": key, "fieldname": field} for key, field in ROWS.items()],
        "webhook_headers": [{"key": "Content-Type", "value": "application/json"}],
    }).insert()
    doc = frappe.get_doc({"doctype": "Note", "title": NAME, "content": "<p>some content</p>"}).insert()
    frappe.db.commit()
    print(f"{'':<40}{'per second':>12}{'hookmill':>10}")
    for _ in range(rounds):
        own = {"Frappe's worker": by_worker(doc), "what it calls for each job, in a loop": by_calls(doc)}
        ours = by_hookmill(binary, port, doc)
        for name, rate in own.items():
            print(f"{name:<40}{rate:>12.1f}{ours / rate:>9.0f}×")
        print(f"{'hookmill':<40}{ours:>12.0f}{'1×':>10}", flush=True)
    frappe.db.delete("Webhook Request Log", {"webhook": NAME})
    doc.delete()
    webhook.delete()
    frappe.db.commit()


main()
