// Fails, skips and prints on demand.

import { BadDocument, plugin, skip } from "hookmill-sdk";

export const transform = plugin((event, draft, settings) => {
  switch (settings.do) {
    case "throw":
      return lookUp(event.doc);
    case "throw_a_string":
      throw "no error at all";
    case "fail":
      throw new BadDocument("failed_on_demand", "failed on demand", "/items/0/qty");
    case "skip":
      return skip("skipped on demand");
    case "print":
      console.log("printed", { a: 1 });
      console.error("and an error");
      return { ...draft, json: { body: draft.body, meta: event.meta("user"), before: event.before } };
    default:
      return undefined;
  }
});

function lookUp(doc) {
  return doc.nothing.name;
}
