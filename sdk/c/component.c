// The way between the contract's types and the SDK's, inside a component; elsewhere this file is empty.

#ifdef __wasm__

#include <stdlib.h>
#include <string.h>

#include "contract/plugin.h"
#include "hookmill_call.h"

// `hookmill plugin build` adds the contract's types; there is no object file to be linked in for that.
void __component_type_object_force_link_plugin(void) {}

void hm_write_log(int level, const char *line, size_t length) {
  plugin_string_t message = {(uint8_t *)line, length};
  hookmill_plugin_log_log((hookmill_plugin_log_level_t)level, &message);
}

static const char *text(hm_call *call, plugin_string_t string) {
  char *copy = hm_alloc(call, string.len + 1);
  memcpy(copy, string.ptr, string.len);
  copy[string.len] = 0;
  return copy;
}

static hm_pair *pairs(hm_call *call, plugin_list_tuple2_string_string_t list) {
  hm_pair *copies = hm_alloc(call, list.len * sizeof(hm_pair));
  for (size_t i = 0; i < list.len; i++) copies[i] = (hm_pair){text(call, list.ptr[i].f0), text(call, list.ptr[i].f1)};
  return copies;
}

// What is returned is freed by the bindings, one by one.
static plugin_string_t given_n(const char *data, size_t length) {
  plugin_string_t string;
  plugin_string_dup_n(&string, data, length);
  return string;
}

static plugin_string_t given(const char *data) { return given_n(data, strlen(data)); }

static hookmill_plugin_types_request_t given_request(const hm_request *request) {
  hookmill_plugin_types_request_t to = {.method = given(request->method), .url = given(request->url)};
  to.headers.len = request->header_count;
  to.headers.ptr = request->header_count ? malloc(request->header_count * sizeof *to.headers.ptr) : NULL;
  for (size_t i = 0; i < request->header_count; i++) {
    to.headers.ptr[i].f0 = given(request->headers[i].name);
    to.headers.ptr[i].f1 = given(request->headers[i].value);
  }
  // Text and bytes have the same layout as JSON.
  to.body.tag = (uint8_t)request->body_kind;
  if (request->body_kind != HM_EMPTY) to.body.val.json = given_n(request->body, request->body_length);
  return to;
}

bool exports_hookmill_plugin_transform_transform(
    exports_hookmill_plugin_transform_event_t *event, exports_hookmill_plugin_transform_request_t *draft,
    plugin_string_t *settings, exports_hookmill_plugin_transform_decision_t *decision,
    exports_hookmill_plugin_transform_failure_t *failure) {
  hm_call call = {0};
  hm_event seen = {
      .id = text(&call, event->id),
      .tenant = text(&call, event->tenant),
      .doctype = text(&call, event->doctype),
      .doc_event = text(&call, event->doc_event),
      .doc_name = text(&call, event->doc_name),
      .occurred_at = text(&call, event->occurred_at),
      .doc_text = (const char *)event->doc.ptr,
      .doc_length = event->doc.len,
      .before_text = event->before.is_some ? (const char *)event->before.val.ptr : NULL,
      .before_length = event->before.is_some ? event->before.val.len : 0,
      .meta = pairs(&call, event->meta),
      .meta_count = event->meta.len,
  };
  hm_request offered = {
      .method = text(&call, draft->method),
      .url = text(&call, draft->url),
      .headers = pairs(&call, draft->headers),
      .header_count = draft->headers.len,
      .body_kind = (hm_body_kind)draft->body.tag,
      .body = draft->body.tag == HM_EMPTY ? NULL : (const char *)draft->body.val.json.ptr,
      .body_length = draft->body.tag == HM_EMPTY ? 0 : draft->body.val.json.len,
  };
  hm_run_call(&call, &seen, &offered, (const char *)settings->ptr, settings->len);
  bool decided = call.outcome == HM_SEND || call.outcome == HM_SKIP;
  if (call.outcome == HM_SEND) {
    decision->tag = HOOKMILL_PLUGIN_TYPES_DECISION_SEND;
    decision->val.send = given_request(&call.request);
  } else if (call.outcome == HM_SKIP) {
    decision->tag = HOOKMILL_PLUGIN_TYPES_DECISION_SKIP;
    decision->val.skip = given(call.reason);
  } else {
    failure->tag = (uint8_t)(call.outcome - HM_BAD_DOCUMENT);
    hookmill_plugin_types_problem_t problem = {.code = given(call.code), .message = given(call.message)};
    problem.path.is_some = call.path != NULL;
    if (call.path) problem.path.val = given(call.path);
    failure->val.other = problem;
  }
  hm_end_call(&call);
  exports_hookmill_plugin_transform_event_free(event);
  exports_hookmill_plugin_transform_request_free(draft);
  plugin_string_free(settings);
  return decided;
}

#endif
