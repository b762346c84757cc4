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

static hm_event seen_event(hm_call *call, const hookmill_plugin_types_event_t *event) {
  return (hm_event){
      .id = text(call, event->id),
      .tenant = text(call, event->tenant),
      .doctype = text(call, event->doctype),
      .doc_event = text(call, event->doc_event),
      .doc_name = text(call, event->doc_name),
      .occurred_at = text(call, event->occurred_at),
      .doc_text = (const char *)event->doc.ptr,
      .doc_length = event->doc.len,
      .before_text = event->before.is_some ? (const char *)event->before.val.ptr : NULL,
      .before_length = event->before.is_some ? event->before.val.len : 0,
      .meta = pairs(call, event->meta),
      .meta_count = event->meta.len,
  };
}

static hookmill_plugin_types_problem_t given_problem(const char *code, const char *message, const char *path) {
  hookmill_plugin_types_problem_t problem = {.code = given(code), .message = given(message)};
  problem.path.is_some = path != NULL;
  if (path) problem.path.val = given(path);
  return problem;
}

bool exports_hookmill_plugin_transform_transform(
    exports_hookmill_plugin_transform_event_t *event, exports_hookmill_plugin_transform_request_t *draft,
    plugin_string_t *settings, exports_hookmill_plugin_transform_decision_t *decision,
    exports_hookmill_plugin_transform_failure_t *failure) {
  hm_call call = {0};
  hm_event seen = seen_event(&call, event);
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
    failure->val.other = given_problem(call.code, call.message, call.path);
  }
  hm_end_call(&call);
  exports_hookmill_plugin_transform_event_free(event);
  exports_hookmill_plugin_transform_request_free(draft);
  plugin_string_free(settings);
  return decided;
}

void exports_hookmill_plugin_response_judge(
    exports_hookmill_plugin_response_event_t *event, uint16_t status, plugin_list_tuple2_string_string_t *headers,
    plugin_list_u8_t *body, plugin_string_t *settings, exports_hookmill_plugin_response_verdict_t *verdict) {
  hm_call call = {0};
  hm_event seen = seen_event(&call, event);
  hm_response response = {
      .status = status,
      .headers = pairs(&call, *headers),
      .header_count = headers->len,
      .body = text(&call, (plugin_string_t){body->ptr, body->len}),
      .body_length = body->len,
  };
  hm_verdict judged = hm_run_judge(&call, &seen, &response, (const char *)settings->ptr, settings->len);
  // A judge has no other way to say that it failed.
  if (call.outcome == HM_BAD_DOCUMENT || call.outcome == HM_OTHER) abort();
  if (judged.kind == HM_DELIVERED) {
    verdict->tag = HOOKMILL_PLUGIN_TYPES_VERDICT_DELIVERED;
  } else if (judged.kind == HM_RETRY) {
    verdict->tag = HOOKMILL_PLUGIN_TYPES_VERDICT_RETRY;
    verdict->val.retry = (plugin_option_u32_t){judged.has_seconds, judged.seconds};
  } else {
    verdict->tag = HOOKMILL_PLUGIN_TYPES_VERDICT_DEAD;
    verdict->val.dead = given(judged.reason);
  }
  hm_end_call(&call);
  exports_hookmill_plugin_response_event_free(event);
  plugin_list_tuple2_string_string_free(headers);
  plugin_list_u8_free(body);
  plugin_string_free(settings);
}

void exports_hookmill_plugin_describe_describe(plugin_string_t *description) {
  hm_call call = {0};
  *description = given(hookmill_describe(&call));
  hm_end_call(&call);
}

bool exports_hookmill_plugin_describe_validate_settings(
    plugin_string_t *settings, exports_hookmill_plugin_describe_list_problem_t *problems) {
  hm_call call = {0};
  hm_run_validate(&call, (const char *)settings->ptr, settings->len);
  size_t count = 0;
  for (hm_problem *each = call.problems; each; each = each->next) count++;
  problems->ptr = count ? malloc(count * sizeof *problems->ptr) : NULL;
  problems->len = 0;
  for (hm_problem *each = call.problems; each; each = each->next) {
    problems->ptr[problems->len++] = given_problem(each->code, each->message, each->path);
  }
  hm_end_call(&call);
  plugin_string_free(settings);
  return count == 0;
}

#endif
