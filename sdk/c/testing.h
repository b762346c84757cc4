// Runs the plugin in an ordinary process, as the host would, for its own tests.
#ifndef HOOKMILL_TESTING_H
#define HOOKMILL_TESTING_H

#include "hookmill_call.h"

// What came of a call. The strings live until hm_test_end.
typedef struct hm_test {
  hm_call call;         // `outcome`, and what belongs to it
  const char *body;     // of the request, with a NUL at its end; "" without a request
  const char *log;      // the lines, each with its level in front and a line break at its end
  hm_event event;
  hm_verdict verdict;   // of hm_test_judge
} hm_test;

// Calls the plugin with the text of an event as `POST /v1/events` takes it, and settings, or NULL for none.
void hm_test_run(hm_test *test, const char *envelope, const char *settings);
void hm_test_end(hm_test *test);

// Asks the judge what an answer to that event means. Where it fails, `call.outcome` and what belongs to it say why.
void hm_test_judge(hm_test *test, const char *envelope, const char *settings, const hm_response *response);

// Lets the plugin check settings; what it finds is in `call.problems`.
void hm_test_validate(hm_test *test, const char *settings);

// Returns a file's text, or ends the process; to be freed.
char *hm_test_read(const char *file);

// Says what differs and counts it; main returns hm_test_failures().
void hm_test_same(const char *what, const char *found, const char *expected);
int hm_test_failures(void);

#endif
