// One call from inside; for the SDK's own files.
#ifndef HOOKMILL_CALL_H
#define HOOKMILL_CALL_H

#include "hookmill.h"

typedef enum hm_outcome { HM_UNDECIDED, HM_SEND, HM_SKIP, HM_BAD_DOCUMENT, HM_BAD_SETTINGS, HM_OTHER } hm_outcome;

typedef struct hm_block hm_block;

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
};

// Runs the author's function; `outcome` says afterwards which of the fields hold. hm_end_call frees all.
void hm_run_call(hm_call *call, const hm_event *event, const hm_request *draft, const char *settings, size_t length);
void hm_end_call(hm_call *call);

// Writes a line: to the host in a component, to stderr or a test's collection elsewhere.
void hm_write_log(int level, const char *line, size_t length);

#endif
