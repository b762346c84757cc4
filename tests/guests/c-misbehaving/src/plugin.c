// Fails, skips and prints on demand.

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hookmill/hookmill.h"

__attribute__((noinline)) static void look_up(const char *name) {
  printf("looking up %s\n", name);
  fflush(stdout);
  abort();
}

hm_decision hookmill_transform(hm_call *call, const hm_event *event, const hm_request *draft) {
  const char *what = hm_text_or(call, hm_settings(call), "do", "");
  if (strcmp(what, "throw") == 0) look_up(event->doc_name);
  if (strcmp(what, "assert") == 0) assert(strcmp(event->doctype, "Invoice") == 0);
  if (strcmp(what, "fail") == 0) return hm_bad_document(call, "failed_on_demand", "/items/0/qty", "failed on demand");
  if (strcmp(what, "skip") == 0) return hm_skip(call, "skipped on demand");
  if (strcmp(what, "print") == 0) {
    puts("printed");
    hm_out *body = hm_new_object(call);
    hm_put_text(call, body, "meta", event->meta[0].value);
    hm_put_value(call, body, "before", hm_before(call));
    return hm_send_json(call, draft, body);
  }
  return (hm_decision){0};
}
