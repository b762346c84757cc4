// A call: memory, reading, writing, deciding.

#include "hookmill_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hm_block {
  hm_block *next;
};

void *hm_alloc(hm_call *call, size_t bytes) {
  bytes = (bytes + 15) & ~(size_t)15;
  if (bytes > call->free_bytes) {
    size_t room = bytes > 4096 ? bytes : 4096;
    // Not aligned less than malloc aligns.
    hm_block *block = malloc(16 + room);
    if (!block) abort();
    block->next = call->blocks;
    call->blocks = block;
    call->free_from = (char *)block + 16;
    call->free_bytes = room;
  }
  void *memory = call->free_from;
  call->free_from += bytes;
  call->free_bytes -= bytes;
  return memory;
}

static const char *formatted(hm_call *call, const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, arguments);
  char *text = hm_alloc(call, length < 0 ? 1 : (size_t)length + 1);
  text[0] = 0;
  if (length > 0) vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  return text;
}

const char *hm_format(hm_call *call, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *text = formatted(call, format, arguments);
  va_end(arguments);
  return text;
}

// ---- deciding

static hm_decision fail(hm_call *call, hm_outcome outcome, const char *code, const char *path, const char *message) {
  // The first failure is the cause; what comes after may only follow from it.
  bool first = call->outcome < HM_BAD_DOCUMENT;
  if (first) {
    call->outcome = outcome;
    call->code = code;
    call->path = path;
    call->message = message;
  }
  if (first || call->checking) {
    hm_problem **end = &call->problems;
    while (*end) end = &(*end)->next;
    *end = hm_alloc(call, sizeof **end);
    **end = (hm_problem){code, message, path, NULL};
  }
  return (hm_decision){1};
}

#define FAILURE(function, outcome)                                                                      \
  hm_decision function(hm_call *call, const char *code, const char *path, const char *format, ...) {    \
    va_list arguments;                                                                                  \
    va_start(arguments, format);                                                                        \
    const char *message = formatted(call, format, arguments);                                           \
    va_end(arguments);                                                                                  \
    return fail(call, outcome, code, path, message);                                                    \
  }

FAILURE(hm_bad_document, HM_BAD_DOCUMENT)
FAILURE(hm_bad_settings, HM_BAD_SETTINGS)
FAILURE(hm_failure, HM_OTHER)

hm_decision hm_skip(hm_call *call, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  call->reason = formatted(call, format, arguments);
  va_end(arguments);
  if (call->outcome < HM_BAD_DOCUMENT) call->outcome = HM_SKIP;
  return (hm_decision){1};
}

hm_decision hm_send(hm_call *call, const hm_request *request) {
  call->request = *request;
  if (call->outcome < HM_BAD_DOCUMENT) call->outcome = HM_SEND;
  return (hm_decision){1};
}

static hm_decision send_body(hm_call *call, const hm_request *request, hm_body_kind kind, const void *body, size_t length) {
  hm_request changed = *request;
  changed.body_kind = kind;
  changed.body = body;
  changed.body_length = length;
  return hm_send(call, &changed);
}

hm_decision hm_send_text(hm_call *call, const hm_request *request, const char *text) {
  return send_body(call, request, HM_TEXT, text, strlen(text));
}

hm_decision hm_send_bytes(hm_call *call, const hm_request *request, const void *bytes, size_t length) {
  return send_body(call, request, HM_BYTES, bytes, length);
}

// The writer spells escapes as \u001F, every other language of plugins as \u001f.
static void lower_escapes(char *json, size_t length) {
  char *end = json + length;
  for (char *at = json; (at = memchr(at, '\\', (size_t)(end - at))); at += 2) {
    for (int digit = 2; at[1] == 'u' && digit < 6; digit++) {
      if (at[digit] >= 'A' && at[digit] <= 'F') at[digit] += 'a' - 'A';
    }
  }
}

hm_decision hm_send_json(hm_call *call, const hm_request *request, hm_out *value) {
  if (call->outcome >= HM_BAD_DOCUMENT) return (hm_decision){1};
  size_t length;
  yyjson_write_err error;
  char *written = yyjson_mut_val_write_opts(value, YYJSON_WRITE_NOFLAG, NULL, &length, &error);
  if (!written) return hm_failure(call, "body_unwritable", NULL, "the body can't be written as JSON: %s", error.msg);
  lower_escapes(written, length);
  char *json = hm_alloc(call, length + 1);
  memcpy(json, written, length + 1);
  free(written);
  return send_body(call, request, HM_JSON, json, length);
}

static bool same_name(const char *a, const char *b) {
  for (; *a && *b; a++, b++) {
    char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;
    char y = *b >= 'A' && *b <= 'Z' ? (char)(*b + 32) : *b;
    if (x != y) return false;
  }
  return *a == *b;
}

hm_request hm_with_header(hm_call *call, const hm_request *request, const char *name, const char *value) {
  hm_request changed = *request;
  hm_pair *headers = hm_alloc(call, (request->header_count + 1) * sizeof(hm_pair));
  size_t count = 0;
  for (size_t i = 0; i < request->header_count; i++) {
    if (!same_name(request->headers[i].name, name)) headers[count++] = request->headers[i];
  }
  headers[count++] = (hm_pair){name, value};
  changed.headers = headers;
  changed.header_count = count;
  return changed;
}

// ---- judging

hm_verdict hm_delivered(void) { return (hm_verdict){.kind = HM_DELIVERED}; }

hm_verdict hm_retry(void) { return (hm_verdict){.kind = HM_RETRY}; }

hm_verdict hm_retry_after(uint32_t seconds) {
  return (hm_verdict){.kind = HM_RETRY, .has_seconds = true, .seconds = seconds};
}

hm_verdict hm_dead(hm_call *call, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *reason = formatted(call, format, arguments);
  va_end(arguments);
  return (hm_verdict){.kind = HM_DEAD, .reason = reason};
}

hm_verdict hm_by_status(const hm_response *response) {
  if (response->status >= 200 && response->status <= 299) return hm_delivered();
  if (response->status == 410) return (hm_verdict){.kind = HM_DEAD, .reason = "the receiver answered 410 Gone"};
  return hm_retry();
}

const char *hm_response_header(const hm_response *response, const char *name) {
  for (size_t i = 0; i < response->header_count; i++) {
    if (same_name(response->headers[i].name, name)) return response->headers[i].value;
  }
  return NULL;
}

// ---- logging

static void log_line(int level, const char *format, va_list arguments) {
  hm_call memory = {0};
  const char *line = formatted(&memory, format, arguments);
  hm_write_log(level, line, strlen(line));
  hm_end_call(&memory);
}

#define LOG(function, level)                   \
  void function(const char *format, ...) {     \
    va_list arguments;                         \
    va_start(arguments, format);               \
    log_line(level, format, arguments);        \
    va_end(arguments);                         \
  }

LOG(hm_debug, 0)
LOG(hm_info, 1)
LOG(hm_warn, 2)
LOG(hm_error, 3)

// ---- writing

static yyjson_mut_doc *out(hm_call *call) {
  if (!call->out) call->out = yyjson_mut_doc_new(NULL);
  return call->out;
}

static hm_out *put(hm_call *call, hm_out *object, const char *field, hm_out *value) {
  yyjson_mut_obj_add(object, yyjson_mut_strcpy(out(call), field), value);
  return value;
}

hm_out *hm_new_object(hm_call *call) { return yyjson_mut_obj(out(call)); }

hm_out *hm_new_array(hm_call *call) { return yyjson_mut_arr(out(call)); }

hm_out *hm_put_object(hm_call *call, hm_out *object, const char *field) {
  return put(call, object, field, hm_new_object(call));
}

hm_out *hm_put_array(hm_call *call, hm_out *object, const char *field) {
  return put(call, object, field, hm_new_array(call));
}

hm_out *hm_add_object(hm_call *call, hm_out *array) {
  hm_out *object = hm_new_object(call);
  yyjson_mut_arr_append(array, object);
  return object;
}

void hm_put_text(hm_call *call, hm_out *object, const char *field, const char *text) {
  put(call, object, field, text ? yyjson_mut_strcpy(out(call), text) : yyjson_mut_null(out(call)));
}

void hm_put_number(hm_call *call, hm_out *object, const char *field, const char *number) {
  put(call, object, field, number ? yyjson_mut_rawcpy(out(call), number) : yyjson_mut_null(out(call)));
}

void hm_put_bool(hm_call *call, hm_out *object, const char *field, bool value) {
  put(call, object, field, yyjson_mut_bool(out(call), value));
}

void hm_put_value(hm_call *call, hm_out *object, const char *field, hm_value *value) {
  put(call, object, field, value ? yyjson_val_mut_copy(out(call), value) : yyjson_mut_null(out(call)));
}

// ---- running

void hm_run_call(hm_call *call, const hm_event *event, const hm_request *draft, const char *settings, size_t length) {
  call->event = event;
  call->settings_text = settings;
  call->settings_length = length;
  hookmill_transform(call, event, draft);
  if (call->outcome == HM_UNDECIDED) {
    hm_failure(call, "no_decision", NULL, "hookmill_transform decided nothing; return hm_send_json(…) or hm_skip(…)");
  }
}

// What stands for the functions that the author left out. A component that lacks them does not export them.
__attribute__((weak)) hm_verdict hookmill_judge(hm_call *call, const hm_event *event, const hm_response *response) {
  (void)call, (void)event;
  return hm_by_status(response);
}

__attribute__((weak)) const char *hookmill_describe(hm_call *call) {
  (void)call;
  return "{}";
}

__attribute__((weak)) void hookmill_validate_settings(hm_call *call) { (void)call; }

hm_verdict hm_run_judge(hm_call *call, const hm_event *event, const hm_response *response, const char *settings, size_t length) {
  call->event = event;
  call->settings_text = settings;
  call->settings_length = length;
  hm_verdict verdict = hookmill_judge(call, event, response);
  if (call->outcome < HM_BAD_DOCUMENT && verdict.kind == HM_UNJUDGED) {
    hm_failure(call, "no_verdict", NULL, "hookmill_judge returned no verdict; return hm_by_status(response) or another");
  }
  if (call->outcome >= HM_BAD_DOCUMENT) {
    const char *place = call->path ? hm_format(call, " (at %s)", call->path) : "";
    hm_error("%s: %s%s", call->code, call->message, place);
  }
  // As the host would; wrong settings are no reason to lose the answer.
  return call->outcome == HM_BAD_SETTINGS ? hm_by_status(response) : verdict;
}

void hm_run_validate(hm_call *call, const char *settings, size_t length) {
  static const hm_event NONE = {"", "", "", "", "", "", "null", 4, NULL, 0, NULL, 0};
  call->event = &NONE;
  call->settings_text = settings;
  call->settings_length = length;
  call->checking = true;
  hookmill_validate_settings(call);
}

void hm_end_call(hm_call *call) {
  yyjson_doc_free(call->doc);
  yyjson_doc_free(call->before);
  yyjson_doc_free(call->settings);
  yyjson_mut_doc_free(call->out);
  for (hm_block *block = call->blocks; block;) {
    hm_block *next = block->next;
    free(block);
    block = next;
  }
  memset(call, 0, sizeof *call);
}
