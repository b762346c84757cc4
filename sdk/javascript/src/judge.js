// What a receiver's answer means, in the author's word.

import { checkSettings } from "./check.js";
import { BadSettings, PluginError, reporting } from "./errors.js";
import { Event } from "./event.js";
import { log } from "./log.js";

export class Response {
  constructor(status, headers, body) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  header(name) {
    const wanted = name.toLowerCase();
    return this.headers.find(([key]) => key.toLowerCase() === wanted)?.[1];
  }

  get text() {
    let bytes = "";
    for (let at = 0; at < this.body.length; at += 8_192) {
      bytes += String.fromCharCode.apply(undefined, this.body.subarray(at, at + 8_192));
    }
    try {
      // The engine has no TextDecoder, but this decodes UTF-8, too.
      return decodeURIComponent(escape(bytes));
    } catch {
      return undefined;
    }
  }
}

class Verdict {
  constructor(tag, val) {
    this.tag = tag;
    this.val = val;
  }
}

export function delivered() {
  return new Verdict("delivered");
}

export function retry(seconds) {
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 0 && seconds <= 0xffff_ffff)) {
    throw new RangeError(`a retry waits for a whole number of seconds, and ${seconds} is none`);
  }
  return new Verdict("retry", seconds ?? null);
}

export function dead(reason) {
  return new Verdict("dead", String(reason));
}

export function byStatus({ status }) {
  if (status >= 200 && status <= 299) return delivered();
  return status === 410 ? dead("the receiver answered 410 Gone") : retry();
}

export function judge(verdict, options = {}) {
  return {
    judge(event, status, headers, body, settings) {
      return reporting(() => {
        const response = new Response(status, headers, body);
        let read;
        try {
          read = checkSettings(settings, options.settings);
        } catch (error) {
          if (!(error instanceof BadSettings)) throw error;
          log.error(error.message);
          return byStatus(response);
        }
        const answer = verdict(new Event(event), response, read);
        if (answer instanceof Verdict) return answer;
        const help = "return delivered(), retry(), dead(reason) or byStatus(response)";
        throw new PluginError("no_verdict", `the judge returned no verdict; ${help}`);
      });
    },
  };
}
