// One call from inside; for the SDK's own files.
#ifndef HOOKMILL_CALL_H
#define HOOKMILL_CALL_H

// The SDK's own definitions of the optional functions are none of the author's.
#define HM_INSIDE_SDK
#include "hookmill.h"

typedef enum hm_outcome { HM_UNDECIDED, HM_SEND, HM_SKIP, HM_BAD_DOCUMENT, HM_BAD_SETTINGS, HM_OTHER } hm_outcome;

typedef struct hm_block hm_block;

// One thing that is wrong.
typedef struct hm_problem hm_problem;
struct hm_problem {
  const char *code;
  const char *message;
  const char *path;
  hm_problem *next;
};

struct hm_call {
  hm_block *blocks;
  char *free_from;
  size_t free_bytes;
  const hm_event *event;
  const char *settings_text;
  size_t settings_length;
  yyjson_doc *doc;
  yyjson_doc *before;
  yyjson_doc *settings;
  yyjson_mut_doc *out;
  hm_outcome outcome;
  hm_request request;
  const char *reason;  // of a skip
  const char *code;    // of a failure
  const char *message;
  const char *path;
  hm_problem *problems;
  bool checking;  // settings: then every problem is kept, up to the first value that does not fit
};

// Runs the author's function; `outcome` says afterwards which of the fields hold. hm_end_call frees all.
void hm_run_call(hm_call *call, const hm_event *event, const hm_request *draft, const char *settings, size_t length);
void hm_end_call(hm_call *call);

// Runs the author's judge. With HM_BAD_DOCUMENT and HM_OTHER as `outcome` there is no verdict; the log says why.
hm_verdict hm_run_judge(hm_call *call, const hm_event *event, const hm_response *response, const char *settings, size_t length);

// Runs the author's checks; what is wrong is in `problems`.
void hm_run_validate(hm_call *call, const char *settings, size_t length);

// Writes a line: to the host in a component, to stderr or a test's collection elsewhere.
void hm_write_log(int level, const char *line, size_t length);

#endif
