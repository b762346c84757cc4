// What the author of a hookmill transform plugin in C includes.
//
// A plugin is one function, hookmill_transform, and three optional ones. What it reads of the document is checked as it is read: the first
// value that is missing or of another type ends the call with the code document_mismatch and its place, whatever the
// function returns. Until then a missing text reads as "", a missing number as 0, a missing array as empty.
// Everything that these functions return lives until the call ends; nothing has to be freed.
#ifndef HOOKMILL_H
#define HOOKMILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "yyjson/yyjson.h"

#if defined(__GNUC__)
#define HM_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define HM_PRINTF(at, first)
#endif

// Lets `hookmill plugin build` see which of the optional functions the author defined.
#if defined(__wasm__) && !defined(HM_INSIDE_SDK)
#define HM_OPTIONAL(name) __attribute__((export_name(#name)))
#else
#define HM_OPTIONAL(name)
#endif

// One call of the plugin.
typedef struct hm_call hm_call;

// A value of a document; yyjson's own functions read it, too. Numbers are raw: they keep their spelling.
typedef yyjson_val hm_value;

// A value that is being made.
typedef yyjson_mut_val hm_out;

// A name and a value.
typedef struct hm_pair {
  const char *name;
  const char *value;
} hm_pair;

// Something that happened to a document.
typedef struct hm_event {
  const char *id;           // the same on every try
  const char *tenant;       // whose event it is
  const char *doctype;      // for example "Quotation"
  const char *doc_event;    // for example "on_update"
  const char *doc_name;     // empty if the document has none
  const char *occurred_at;  // in RFC 3339
  const char *doc_text;     // the document in the publisher's own text
  size_t doc_length;
  const char *before_text;  // the document before the change, or NULL
  size_t before_length;
  const hm_pair *meta;      // what the publisher or the host adds, for example "user"
  size_t meta_count;
} hm_event;

typedef enum hm_body_kind { HM_EMPTY, HM_JSON, HM_TEXT, HM_BYTES } hm_body_kind;

// An HTTP request. A content-type header, where there is one, wins over the body's own.
typedef struct hm_request {
  const char *method;
  const char *url;
  const hm_pair *headers;
  size_t header_count;
  hm_body_kind body_kind;
  const char *body;
  size_t body_length;
} hm_request;

// What is to be done; made by hm_send and its kin, hm_skip, and the failures below.
typedef struct hm_decision {
  int made;
} hm_decision;

// The author's function. `draft` is what the host would send without the plugin.
hm_decision hookmill_transform(hm_call *call, const hm_event *event, const hm_request *draft);

// Decides to send a request as it is; with `value` as its JSON body; with a text; with bytes.
hm_decision hm_send(hm_call *call, const hm_request *request);
hm_decision hm_send_json(hm_call *call, const hm_request *request, hm_out *value);
hm_decision hm_send_text(hm_call *call, const hm_request *request, const char *text);
hm_decision hm_send_bytes(hm_call *call, const hm_request *request, const void *bytes, size_t length);

// Returns a copy of a request with a header in place of every one of that name.
hm_request hm_with_header(hm_call *call, const hm_request *request, const char *name, const char *value);

// Decides to send nothing, and says why.
hm_decision hm_skip(hm_call *call, const char *format, ...) HM_PRINTF(2, 3);

// Ends the call: blames the document, the webhook's settings, or neither. `code` is a short stable word; `path` says
// where, as a JSON pointer such as "/items/0/qty", or is NULL.
hm_decision hm_bad_document(hm_call *call, const char *code, const char *path, const char *format, ...) HM_PRINTF(4, 5);
hm_decision hm_bad_settings(hm_call *call, const char *code, const char *path, const char *format, ...) HM_PRINTF(4, 5);
hm_decision hm_failure(hm_call *call, const char *code, const char *path, const char *format, ...) HM_PRINTF(4, 5);

// Writes a line to the attempt's log.
void hm_debug(const char *format, ...) HM_PRINTF(1, 2);
void hm_info(const char *format, ...) HM_PRINTF(1, 2);
void hm_warn(const char *format, ...) HM_PRINTF(1, 2);
void hm_error(const char *format, ...) HM_PRINTF(1, 2);

// What a receiver answered.
typedef struct hm_response {
  int status;
  const hm_pair *headers;  // names in lower case
  size_t header_count;
  const char *body;  // up to the 64 KiB that the host reads; a NUL follows
  size_t body_length;
} hm_response;

typedef enum hm_verdict_kind { HM_UNJUDGED, HM_DELIVERED, HM_RETRY, HM_DEAD } hm_verdict_kind;

// What an answer means; made by the functions below.
typedef struct hm_verdict {
  hm_verdict_kind kind;
  bool has_seconds;
  uint32_t seconds;
  const char *reason;
} hm_verdict;

// Optional: says what an answer means. A judge that fails or traps leaves the word to the status.
hm_verdict hookmill_judge(hm_call *call, const hm_event *event, const hm_response *response) HM_OPTIONAL(hookmill_judge);

// Judges that the receiver has it; that it is to be tried again as the webhook's schedule has it, or after so many
// seconds; that it is to be given up; or as the host does: 2xx is delivered, 410 ends it, all else is tried again.
hm_verdict hm_delivered(void);
hm_verdict hm_retry(void);
hm_verdict hm_retry_after(uint32_t seconds);
hm_verdict hm_dead(hm_call *call, const char *format, ...) HM_PRINTF(2, 3);
hm_verdict hm_by_status(const hm_response *response);

// Returns the value of an answer's header, whatever the case of its name, or NULL.
const char *hm_response_header(const hm_response *response, const char *name);

// Optional: returns what the plugin says of itself, a JSON object with name, version, description and settings (a JSON
// Schema).
const char *hookmill_describe(hm_call *call) HM_OPTIONAL(hookmill_describe);

// Optional: checks a webhook's settings beyond the schema. Each hm_bad_settings is one thing that is wrong with them.
void hookmill_validate_settings(hm_call *call) HM_OPTIONAL(hookmill_validate_settings);

// Returns the document, the document before the change (NULL if it was not sent), the webhook's settings.
hm_value *hm_doc(hm_call *call);
hm_value *hm_before(hm_call *call);
hm_value *hm_settings(hm_call *call);

// Refuses settings other than these names; the last argument is NULL.
void hm_only_settings(hm_call *call, ...);

// Reads a field of an object that must be there.
const char *hm_text(hm_call *call, hm_value *object, const char *field);
const char *hm_number(hm_call *call, hm_value *object, const char *field);  // as it is spelled
bool hm_bool(hm_call *call, hm_value *object, const char *field);
hm_value *hm_object(hm_call *call, hm_value *object, const char *field);
hm_value *hm_array(hm_call *call, hm_value *object, const char *field);

// Reads a field that may be missing or null: then it is `otherwise`, or NULL.
const char *hm_text_or(hm_call *call, hm_value *object, const char *field, const char *otherwise);
const char *hm_number_or(hm_call *call, hm_value *object, const char *field, const char *otherwise);
hm_value *hm_array_or_null(hm_call *call, hm_value *object, const char *field);

// Counts an array's items, and returns one. NULL counts as empty.
size_t hm_count(hm_value *array);
hm_value *hm_item(hm_value *array, size_t index);

// Returns the nearest floating-point number.
double hm_double(const char *number);

// Makes an object or an array, alone or as a member of another.
hm_out *hm_new_object(hm_call *call);
hm_out *hm_new_array(hm_call *call);
hm_out *hm_put_object(hm_call *call, hm_out *object, const char *field);
hm_out *hm_put_array(hm_call *call, hm_out *object, const char *field);
hm_out *hm_add_object(hm_call *call, hm_out *array);

// Gives a field a value. A text or a number that is NULL becomes null; a number is written as it is spelled.
void hm_put_text(hm_call *call, hm_out *object, const char *field, const char *text);
void hm_put_number(hm_call *call, hm_out *object, const char *field, const char *number);
void hm_put_bool(hm_call *call, hm_out *object, const char *field, bool value);
void hm_put_value(hm_call *call, hm_out *object, const char *field, hm_value *value);

// Returns memory, or text as by printf, that lives until the call ends.
void *hm_alloc(hm_call *call, size_t bytes);
const char *hm_format(hm_call *call, const char *format, ...) HM_PRINTF(2, 3);

#endif
