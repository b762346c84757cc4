// See testing.h. Not part of a component.

#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *lines;
static size_t lines_length;
static int checks;
static int failures;

void hm_write_log(int level, const char *line, size_t length) {
  static const char *const LEVELS[] = {"debug", "info", "warn", "error"};
  size_t more = strlen(LEVELS[level]) + length + 3;
  lines = realloc(lines, lines_length + more + 1);
  if (!lines) abort();
  lines_length += (size_t)snprintf(lines + lines_length, more + 1, "%s: %s\n", LEVELS[level], line);
}

static const char *text_of(hm_call *call, yyjson_val *envelope, const char *field, const char *otherwise) {
  yyjson_val *value = yyjson_obj_get(envelope, field);
  const char *text = yyjson_is_raw(value) ? yyjson_get_raw(value) : yyjson_get_str(value);
  return hm_format(call, "%s", text ? text : otherwise);
}

static const char *json_of(hm_call *call, yyjson_val *envelope, const char *field) {
  yyjson_val *value = yyjson_obj_get(envelope, field);
  if (!value || yyjson_is_null(value)) return NULL;
  char *written = yyjson_val_write(value, YYJSON_WRITE_NOFLAG, NULL);
  const char *text = hm_format(call, "%s", written);
  free(written);
  return text;
}

static void begin(hm_test *test) {
  memset(test, 0, sizeof *test);
  free(lines);
  lines = NULL;
  lines_length = 0;
  test->body = "";
}

static void read_event(hm_test *test, const char *text) {
  hm_call *call = &test->call;
  yyjson_doc *parsed = yyjson_read(text, strlen(text), YYJSON_READ_NUMBER_AS_RAW);
  yyjson_val *envelope = yyjson_doc_get_root(parsed);
  if (!yyjson_is_obj(yyjson_obj_get(envelope, "doc"))) {
    fprintf(stderr, "the event is no JSON object with a `doc`\n");
    exit(2);
  }
  hm_event *event = &test->event;
  event->id = text_of(call, envelope, "id", "evt_test");
  event->tenant = "default";
  event->doctype = text_of(call, envelope, "doctype", "");
  event->doc_event = text_of(call, envelope, "doc_event", "");
  event->doc_name = text_of(call, yyjson_obj_get(envelope, "doc"), "name", "");
  event->occurred_at = text_of(call, envelope, "occurred_at", "2026-01-01T00:00:00Z");
  event->doc_text = json_of(call, envelope, "doc");
  event->doc_length = strlen(event->doc_text);
  event->before_text = json_of(call, envelope, "before");
  event->before_length = event->before_text ? strlen(event->before_text) : 0;
  yyjson_val *given = yyjson_obj_get(envelope, "meta");
  hm_pair *meta = hm_alloc(call, (yyjson_obj_size(given) + 1) * sizeof(hm_pair));
  size_t index, count;
  yyjson_val *key, *value;
  yyjson_obj_foreach(given, index, count, key, value) {
    const char *name = hm_format(call, "%s", yyjson_get_str(key));
    meta[event->meta_count++] = (hm_pair){name, text_of(call, given, name, "")};
  }
  if (yyjson_obj_get(envelope, "user")) meta[event->meta_count++] = (hm_pair){"user", text_of(call, envelope, "user", "")};
  event->meta = meta;
  yyjson_doc_free(parsed);
}

void hm_test_run(hm_test *test, const char *text, const char *settings) {
  begin(test);
  read_event(test, text);
  hm_call *call = &test->call;
  const hm_request draft = {.method = "POST", .url = "https://receiver.example/in"};
  settings = settings ? settings : "{}";
  hm_run_call(call, &test->event, &draft, settings, strlen(settings));
  if (call->outcome == HM_SEND && call->request.body_kind != HM_EMPTY) {
    char *body = hm_alloc(call, call->request.body_length + 1);
    memcpy(body, call->request.body, call->request.body_length);
    body[call->request.body_length] = 0;
    test->body = body;
  }
  test->log = lines ? lines : "";
}

void hm_test_judge(hm_test *test, const char *text, const char *settings, const hm_response *response) {
  begin(test);
  read_event(test, text);
  settings = settings ? settings : "{}";
  test->verdict = hm_run_judge(&test->call, &test->event, response, settings, strlen(settings));
  test->log = lines ? lines : "";
}

void hm_test_validate(hm_test *test, const char *settings) {
  begin(test);
  hm_run_validate(&test->call, settings, strlen(settings));
  test->log = lines ? lines : "";
}

void hm_test_end(hm_test *test) { hm_end_call(&test->call); }

char *hm_test_read(const char *file) {
  FILE *stream = fopen(file, "rb");
  char *text = NULL;
  long length = -1;
  if (stream && fseek(stream, 0, SEEK_END) == 0 && (length = ftell(stream)) >= 0 && fseek(stream, 0, SEEK_SET) == 0) {
    text = malloc((size_t)length + 1);
  }
  if (!text || fread(text, 1, (size_t)length, stream) != (size_t)length) {
    fprintf(stderr, "%s can't be read\n", file);
    exit(2);
  }
  text[length] = 0;
  fclose(stream);
  return text;
}

void hm_test_same(const char *what, const char *found, const char *expected) {
  checks++;
  if (found == expected || (found && expected && strcmp(found, expected) == 0)) return;
  failures++;
  fprintf(stderr, "%s\n  found:    %s\n  expected: %s\n", what, found ? found : "(none)", expected ? expected : "(none)");
}

int hm_test_failures(void) {
  printf("%d passed, %d failed\n", checks - failures, failures);
  return failures != 0;
}
