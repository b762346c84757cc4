// Fails, skips and prints on demand.

import { BadDocument, plugin, skip, type Request } from "hookmill-sdk";

export const transform = plugin((event, draft, settings) => {
  switch (settings["do"]) {
    case "throw":
      return lookUp(event.doc as { nothing: { request: Request } });
    case "fail":
      throw new BadDocument("failed_on_demand", "failed on demand", "/items/0/qty");
    default:
      return skip("skipped on demand");
  }
});

function lookUp(doc: { nothing: { request: Request } }): Request {
  return doc.nothing.request;
}
