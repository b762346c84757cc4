// The event as a plugin sees it: its texts are parsed when they are first asked for.

import { parse } from "./exact.js";

export class Event {
  #raw;
  #doc;
  #exact;

  constructor(raw) {
    this.#raw = raw;
  }

  get id() {
    return this.#raw.id;
  }

  get tenant() {
    return this.#raw.tenant;
  }

  get doctype() {
    return this.#raw.doctype;
  }

  get docEvent() {
    return this.#raw.docEvent;
  }

  get docName() {
    return this.#raw.docName;
  }

  get occurredAt() {
    return this.#raw.occurredAt;
  }

  get docText() {
    return this.#raw.doc;
  }

  get beforeText() {
    return this.#raw.before ?? undefined;
  }

  get doc() {
    return (this.#doc ??= JSON.parse(this.#raw.doc));
  }

  get exact() {
    return (this.#exact ??= parse(this.#raw.doc));
  }

  get before() {
    return this.beforeText === undefined ? undefined : JSON.parse(this.beforeText);
  }

  meta(key) {
    return this.#raw.meta.find(([present]) => present === key)?.[1];
  }
}
