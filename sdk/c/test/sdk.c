// The SDK, without WebAssembly: each test is a transform of its own.

#include <string.h>

#include "../testing.h"

static const char EVENT[] =
    "{\"doctype\": \"Note\", \"doc_event\": \"on_update\", \"user\": \"a@example.com\", \"before\": {\"name\": \"N-0\"},"
    " \"doc\": {\"name\": \"N-1\", \"total\": 1250.00, \"big\": 12345678901234567890.10, \"small\": 1E-7, \"yes\": true,"
    " \"lines\": [{\"qty\": -0}, {\"qty\": \"x\"}], \"text\": \"\\u00e9 \\u001f\\n\", \"x/y~\": {\"none\": null}}}";

static hm_decision (*transform)(hm_call *, const hm_event *, const hm_request *);

hm_decision hookmill_transform(hm_call *call, const hm_event *event, const hm_request *draft) {
  return transform(call, event, draft);
}

static hm_decision passes_on(hm_call *call, const hm_event *event, const hm_request *draft) {
  hm_out *body = hm_new_object(call);
  hm_put_value(call, body, "doc", hm_doc(call));
  hm_put_text(call, body, "user", event->meta[0].value);
  hm_put_text(call, body, "before", hm_text(call, hm_before(call), "name"));
  hm_put_text(call, body, "none", hm_text_or(call, hm_object(call, hm_doc(call), "x/y~"), "none", NULL));
  hm_put_bool(call, body, "yes", hm_bool(call, hm_doc(call), "yes"));
  hm_put_number(call, hm_put_object(call, body, "sum"), "total", hm_number(call, hm_doc(call), "total"));
  hm_out *numbers = hm_put_array(call, body, "numbers");
  hm_put_number(call, hm_add_object(call, numbers), "n", hm_number_or(call, hm_doc(call), "gone", NULL));
  hm_info("%s of %.2f", event->doc_name, hm_double(hm_number(call, hm_doc(call), "total")));
  hm_request request = hm_with_header(call, draft, "X-A", "1");
  request = hm_with_header(call, &request, "x-a", "2");
  return hm_send_json(call, &request, body);
}

static hm_decision reads_wrong(hm_call *call, const hm_event *event, const hm_request *draft) {
  (void)event;
  hm_value *lines = hm_array(call, hm_doc(call), "lines");
  for (size_t i = 0; i < hm_count(lines); i++) hm_number(call, hm_item(lines, i), "qty");
  hm_text(call, hm_doc(call), "also wrong, but later");
  return hm_send(call, draft);
}

static hm_decision misses(hm_call *call, const hm_event *event, const hm_request *draft) {
  (void)event;
  hm_text(call, hm_object(call, hm_doc(call), "x/y~"), "gone");
  return hm_send(call, draft);
}

static hm_decision skips(hm_call *call, const hm_event *event, const hm_request *draft) {
  (void)draft;
  return hm_skip(call, "not %s today", event->doc_name);
}

static hm_decision fails(hm_call *call, const hm_event *event, const hm_request *draft) {
  (void)event, (void)draft;
  return hm_failure(call, "no_way", "/items", "there is %s", "no way");
}

static hm_decision forgets(hm_call *call, const hm_event *event, const hm_request *draft) {
  (void)call, (void)event, (void)draft;
  return (hm_decision){0};
}

static hm_decision reads_settings(hm_call *call, const hm_event *event, const hm_request *draft) {
  (void)event;
  hm_only_settings(call, "currency", NULL);
  return hm_send_text(call, draft, hm_text_or(call, hm_settings(call), "currency", "USD"));
}

static void check(const char *what, hm_decision (*run)(hm_call *, const hm_event *, const hm_request *), const char *settings,
                  const char *body, const char *code, const char *path, const char *words) {
  hm_test test;
  transform = run;
  hm_test_run(&test, EVENT, settings);
  hm_test_same(what, test.body, body);
  hm_test_same(what, test.call.code, code);
  hm_test_same(what, test.call.path, path);
  if (words) hm_test_same(what, test.call.message ? test.call.message : test.call.reason ? test.call.reason : test.log, words);
  if (run == passes_on) hm_test_same("a header replaces its like", test.call.request.headers[0].value, "2");
  hm_test_end(&test);
}

int main(void) {
  check("numbers keep their spelling", passes_on, NULL,
        "{\"doc\":{\"name\":\"N-1\",\"total\":1250.00,\"big\":12345678901234567890.10,\"small\":1E-7,\"yes\":true,"
        "\"lines\":[{\"qty\":-0},{\"qty\":\"x\"}],\"text\":\"é \\u001f\\n\",\"x/y~\":{\"none\":null}},\"user\":\"a@example.com\","
        "\"before\":\"N-0\",\"none\":null,\"yes\":true,\"sum\":{\"total\":1250.00},\"numbers\":[{\"n\":null}]}",
        NULL, NULL, "info: N-1 of 1250.00\n");
  check("the first wrong value is told", reads_wrong, NULL, "", "document_mismatch", "/lines/1/qty",
        "the document doesn't fit this plugin: expected a number, found a string");
  check("a missing field is told", misses, NULL, "", "document_mismatch", "/x~1y~0",
        "the document doesn't fit this plugin: missing field `gone`");
  check("a skip has its reason", skips, NULL, "", NULL, NULL, "not N-1 today");
  check("a failure has its words", fails, NULL, "", "no_way", "/items", "there is no way");
  check("no decision is a failure", forgets, NULL, "", "no_decision", NULL, NULL);
  check("settings are read", reads_settings, "{\"currency\": \"EUR\"}", "EUR", NULL, NULL, NULL);
  check("settings may be missing", reads_settings, NULL, "USD", NULL, NULL, NULL);
  check("unknown settings are told", reads_settings, "{\"currancy\": \"EUR\"}", "", "settings_mismatch", "/currancy", NULL);
  check("wrong settings are told", reads_settings, "{\"currency\": 5}", "", "settings_mismatch", "/currency", NULL);
  return hm_test_failures();
}
