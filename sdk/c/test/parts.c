// The optional functions, without WebAssembly: judging answers, checking settings.

#include <string.h>

#include "../testing.h"

static const char EVENT[] = "{\"doctype\": \"Note\", \"doc_event\": \"on_update\", \"doc\": {\"name\": \"N-1\"}}";

static hm_verdict (*judge)(hm_call *, const hm_event *, const hm_response *);

hm_decision hookmill_transform(hm_call *call, const hm_event *event, const hm_request *draft) {
  (void)event;
  return hm_send(call, draft);
}

hm_verdict hookmill_judge(hm_call *call, const hm_event *event, const hm_response *response) {
  return judge(call, event, response);
}

void hookmill_validate_settings(hm_call *call) {
  const char *channel = hm_text(call, hm_settings(call), "channel");
  if (channel[0] != '#') hm_bad_settings(call, "no_channel", "/channel", "a channel begins with #, and %s does not", channel);
  if (strlen(channel) < 3) hm_bad_settings(call, "short", "/channel", "%s is short", channel);
}

static hm_verdict tells(hm_call *call, const hm_event *event, const hm_response *response) {
  const char *channel = hm_text(call, hm_settings(call), "channel");
  const char *after = hm_response_header(response, "Retry-After");
  if (hm_response_header(response, "x-none")) return hm_delivered();
  return hm_dead(call, "%s %d %s %s %s", event->doc_name, response->status, response->body, after, channel);
}

static hm_verdict by_status(hm_call *call, const hm_event *event, const hm_response *response) {
  (void)call, (void)event;
  return hm_by_status(response);
}

static hm_verdict waits(hm_call *call, const hm_event *event, const hm_response *response) {
  (void)call, (void)event, (void)response;
  return hm_retry_after(3600);
}

static hm_verdict fails(hm_call *call, const hm_event *event, const hm_response *response) {
  (void)event, (void)response;
  hm_text(call, hm_doc(call), "title");
  return hm_delivered();
}

static hm_verdict forgets(hm_call *call, const hm_event *event, const hm_response *response) {
  (void)call, (void)event, (void)response;
  return (hm_verdict){0};
}

static const char *const KINDS[] = {"unjudged", "delivered", "retry", "dead"};

static void check(const char *what, hm_verdict (*run)(hm_call *, const hm_event *, const hm_response *), int status,
                  const char *settings, const char *kind, const char *code, const char *reason_or_log) {
  static const hm_pair HEADERS[] = {{"retry-after", "5"}};
  const hm_response response = {status, HEADERS, 1, "{\"ok\":false}", 12};
  hm_test test;
  judge = run;
  hm_test_judge(&test, EVENT, settings, &response);
  hm_test_same(what, test.call.outcome == HM_OTHER || test.call.outcome == HM_BAD_DOCUMENT ? "failed" : KINDS[test.verdict.kind], kind);
  hm_test_same(what, test.call.code, code);
  if (reason_or_log) hm_test_same(what, test.verdict.reason ? test.verdict.reason : test.log, reason_or_log);
  if (run == waits) hm_test_same(what, test.verdict.has_seconds && test.verdict.seconds == 3600 ? "3600" : "other", "3600");
  hm_test_end(&test);
}

static void check_settings(const char *what, const char *settings, const char *code, const char *path, const char *next) {
  hm_test test;
  hm_test_validate(&test, settings);
  hm_problem *first = test.call.problems;
  hm_test_same(what, first ? first->code : NULL, code);
  hm_test_same(what, first ? first->path : NULL, path);
  hm_test_same(what, first && first->next ? first->next->code : NULL, next);
  hm_test_end(&test);
}

int main(void) {
  check("a judge sees all", tells, 200, "{\"channel\": \"#a\"}", "dead", NULL, "N-1 200 {\"ok\":false} 5 #a");
  check("200 is delivered", by_status, 200, NULL, "delivered", NULL, NULL);
  check("299 is delivered", by_status, 299, NULL, "delivered", NULL, NULL);
  check("300 is tried again", by_status, 300, NULL, "retry", NULL, NULL);
  check("410 ends it", by_status, 410, NULL, "dead", NULL, "the receiver answered 410 Gone");
  check("a retry has its time", waits, 200, NULL, "retry", NULL, NULL);
  check("wrong settings leave the word to the status", tells, 204, "{\"channel\": 5}", "delivered", "settings_mismatch",
        "error: settings_mismatch: the webhook's settings don't fit this plugin: expected a string, found a number (at /channel)\n");
  check("a failure is logged", fails, 200, NULL, "failed", "document_mismatch",
        "error: document_mismatch: the document doesn't fit this plugin: missing field `title`\n");
  check("no verdict is a failure", forgets, 200, NULL, "failed", "no_verdict", NULL);
  check_settings("good settings", "{\"channel\": \"#ab\"}", NULL, NULL, NULL);
  check_settings("each problem is told", "{\"channel\": \"a\"}", "no_channel", "/channel", "short");
  check_settings("what follows from a wrong value is not", "{\"channel\": 5}", "settings_mismatch", "/channel", NULL);
  hm_call call = {0};
  hm_test_same("what is left out has a stand-in", hookmill_describe(&call), "{}");
  return hm_test_failures();
}
