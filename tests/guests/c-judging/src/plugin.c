// A plugin with every optional part of the contract: it judges answers, describes itself and checks its settings.

#include <string.h>

#include "hookmill/hookmill.h"

// Where the message goes, and what takes the place of the webhook's own URL and method.
typedef struct settings {
  const char *channel;
  const char *url;
  const char *method;
} settings;

static settings read_settings(hm_call *call) {
  hm_only_settings(call, "channel", "url", "method", NULL);
  hm_value *given = hm_settings(call);
  return (settings){
      hm_text(call, given, "channel"),
      hm_text_or(call, given, "url", NULL),
      hm_text_or(call, given, "method", NULL),
  };
}

hm_decision hookmill_transform(hm_call *call, const hm_event *event, const hm_request *draft) {
  settings chosen = read_settings(call);
  hm_request request = hm_with_header(call, draft, "x-sign", "Bearer secret(\"chat-token\")");
  if (chosen.url) request.url = chosen.url;
  if (chosen.method) request.method = chosen.method;
  hm_out *body = hm_new_object(call);
  hm_put_text(call, body, "channel", chosen.channel);
  hm_put_text(call, body, "seen", hm_format(call, "%.*s", (int)event->doc_length, event->doc_text));
  return hm_send_json(call, &request, body);
}

// Chat services answer 200 and say in the body that they failed.
hm_verdict hookmill_judge(hm_call *call, const hm_event *event, const hm_response *response) {
  (void)event;
  read_settings(call);
  hm_info("judged %d %s", response->status, response->body);
  if (response->status == 409) return hm_delivered();
  if (response->status != 200) return hm_by_status(response);
  if (strstr(response->body, "no_such_channel")) return hm_dead(call, "there is no such channel");
  if (strstr(response->body, "slow_down")) return hm_retry_after(3600);
  if (strstr(response->body, "panic")) hm_failure(call, "panic", NULL, "panicked in judge");
  return hm_by_status(response);
}

const char *hookmill_describe(hm_call *call) {
  (void)call;
  return "{\"name\": \"judging\", \"version\": \"1.2.3\", \"description\": \"Sends chat messages\","
         " \"settings\": {\"type\": \"object\", \"required\": [\"channel\"], \"additionalProperties\": false,"
         " \"properties\": {\"channel\": {\"type\": \"string\"}, \"url\": {\"type\": \"string\"},"
         " \"method\": {\"type\": \"string\"}}}}";
}

void hookmill_validate_settings(hm_call *call) {
  const char *channel = read_settings(call).channel;
  if (channel[0] == '#') return;
  hm_bad_settings(call, "no_channel", "/channel", "a channel begins with #, and \"%s\" does not", channel);
}
