// Reading documents: each value is checked as it is read, and the first that is wrong is told with its place.

#include "hookmill_call.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static hm_value *parsed(hm_call *call, yyjson_doc **doc, const char *text, size_t length, hm_outcome blame) {
  if (!*doc) {
    yyjson_read_err error;
    // The reader does not write to the text unless it is asked to.
    *doc = yyjson_read_opts((char *)text, length, YYJSON_READ_NUMBER_AS_RAW, NULL, &error);
    if (!*doc && blame == HM_BAD_DOCUMENT) hm_bad_document(call, "document_mismatch", NULL, "the document is no JSON: %s", error.msg);
    if (!*doc && blame == HM_BAD_SETTINGS) hm_bad_settings(call, "settings_mismatch", NULL, "the settings are no JSON: %s", error.msg);
  }
  return yyjson_doc_get_root(*doc);
}

hm_value *hm_doc(hm_call *call) {
  return parsed(call, &call->doc, call->event->doc_text, call->event->doc_length, HM_BAD_DOCUMENT);
}

hm_value *hm_before(hm_call *call) {
  if (!call->event->before_text) return NULL;
  return parsed(call, &call->before, call->event->before_text, call->event->before_length, HM_BAD_DOCUMENT);
}

hm_value *hm_settings(hm_call *call) {
  return parsed(call, &call->settings, call->settings_text, call->settings_length, HM_BAD_SETTINGS);
}

// ---- places

static const char *escaped(hm_call *call, const char *key) {
  char *text = hm_alloc(call, 2 * strlen(key) + 1);
  char *to = text;
  for (; *key; key++) {
    if (*key == '~' || *key == '/') {
      *to++ = '~';
      *to++ = *key == '~' ? '0' : '1';
    } else {
      *to++ = *key;
    }
  }
  *to = 0;
  return text;
}

// Searches for a value and returns its JSON pointer; this is done once, for the value that is wrong.
static const char *place(hm_call *call, hm_value *root, hm_value *wanted, const char *path) {
  if (root == wanted) return path;
  size_t index, count;
  hm_value *key, *item;
  if (yyjson_is_obj(root)) {
    yyjson_obj_foreach(root, index, count, key, item) {
      if (item != wanted && !yyjson_is_ctn(item)) continue;
      const char *found = place(call, item, wanted, hm_format(call, "%s/%s", path, escaped(call, yyjson_get_str(key))));
      if (found) return found;
    }
  } else if (yyjson_is_arr(root)) {
    yyjson_arr_foreach(root, index, count, item) {
      if (item != wanted && !yyjson_is_ctn(item)) continue;
      const char *found = place(call, item, wanted, hm_format(call, "%s/%zu", path, index));
      if (found) return found;
    }
  }
  return NULL;
}

static const char *kind(hm_value *value) {
  switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL: return "null";
    case YYJSON_TYPE_BOOL: return "a boolean";
    case YYJSON_TYPE_STR: return "a string";
    case YYJSON_TYPE_ARR: return "an array";
    case YYJSON_TYPE_OBJ: return "an object";
    default: return "a number";
  }
}

static void blame(hm_call *call, hm_value *culprit, const char *message) {
  if (call->outcome >= HM_BAD_DOCUMENT && !call->checking) return;
  const char *path = call->settings ? place(call, yyjson_doc_get_root(call->settings), culprit, "") : NULL;
  if (path) {
    message = hm_format(call, "the webhook's settings don't fit this plugin: %s", message);
    hm_bad_settings(call, "settings_mismatch", *path ? path : NULL, "%s", message);
    // What is found after this may only follow from the value that is not there.
    call->checking = false;
    return;
  }
  path = place(call, yyjson_doc_get_root(call->doc), culprit, "");
  if (!path && call->before) path = place(call, yyjson_doc_get_root(call->before), culprit, "");
  message = hm_format(call, "the document doesn't fit this plugin: %s", message);
  hm_bad_document(call, "document_mismatch", path && *path ? path : NULL, "%s", message);
}

// Returns a field that a predicate accepts; of an object that is NULL, what was wrong is told already.
static hm_value *field_of(hm_call *call, hm_value *object, const char *field, bool (*accepts)(hm_value *), const char *expected, bool optional) {
  if (!object) return NULL;
  if (!yyjson_is_obj(object)) {
    blame(call, object, hm_format(call, "expected an object, found %s", kind(object)));
    return NULL;
  }
  hm_value *value = yyjson_obj_get(object, field);
  if (value && accepts(value)) return value;
  if (optional && (!value || yyjson_is_null(value))) return NULL;
  if (value) {
    blame(call, value, hm_format(call, "expected %s, found %s", expected, kind(value)));
  } else {
    blame(call, object, hm_format(call, "missing field `%s`", field));
  }
  return NULL;
}

static bool is_text(hm_value *value) { return yyjson_is_str(value); }
static bool is_number(hm_value *value) { return yyjson_is_raw(value); }
static bool is_bool(hm_value *value) { return yyjson_is_bool(value); }
static bool is_object(hm_value *value) { return yyjson_is_obj(value); }
static bool is_array(hm_value *value) { return yyjson_is_arr(value); }

const char *hm_text(hm_call *call, hm_value *object, const char *field) {
  hm_value *value = field_of(call, object, field, is_text, "a string", false);
  return value ? yyjson_get_str(value) : "";
}

const char *hm_number(hm_call *call, hm_value *object, const char *field) {
  hm_value *value = field_of(call, object, field, is_number, "a number", false);
  return value ? yyjson_get_raw(value) : "0";
}

bool hm_bool(hm_call *call, hm_value *object, const char *field) {
  return yyjson_get_bool(field_of(call, object, field, is_bool, "a boolean", false));
}

hm_value *hm_object(hm_call *call, hm_value *object, const char *field) {
  return field_of(call, object, field, is_object, "an object", false);
}

hm_value *hm_array(hm_call *call, hm_value *object, const char *field) {
  return field_of(call, object, field, is_array, "an array", false);
}

const char *hm_text_or(hm_call *call, hm_value *object, const char *field, const char *otherwise) {
  hm_value *value = field_of(call, object, field, is_text, "a string", true);
  return value ? yyjson_get_str(value) : otherwise;
}

const char *hm_number_or(hm_call *call, hm_value *object, const char *field, const char *otherwise) {
  hm_value *value = field_of(call, object, field, is_number, "a number", true);
  return value ? yyjson_get_raw(value) : otherwise;
}

hm_value *hm_array_or_null(hm_call *call, hm_value *object, const char *field) {
  return field_of(call, object, field, is_array, "an array", true);
}

size_t hm_count(hm_value *array) { return yyjson_arr_size(array); }

hm_value *hm_item(hm_value *array, size_t index) { return yyjson_arr_get(array, index); }

double hm_double(const char *number) { return strtod(number, NULL); }

void hm_only_settings(hm_call *call, ...) {
  size_t index, count;
  hm_value *key, *value;
  yyjson_obj_foreach(hm_settings(call), index, count, key, value) {
    const char *name = yyjson_get_str(key);
    bool known = false;
    va_list names;
    va_start(names, call);
    for (const char *each; !known && (each = va_arg(names, const char *));) known = strcmp(each, name) == 0;
    va_end(names);
    if (!known) blame(call, value, hm_format(call, "unknown field `%s`", name));
  }
}
