// The invoice, against the sample documents.

#include <stdlib.h>
#include <string.h>

#include "hookmill/testing.h"

#define DOCUMENTS "../../tests/documents/"

// Returns a text with one part replaced; to be freed.
static char *with(const char *text, const char *part, const char *other) {
  const char *at = strstr(text, part);
  if (!at) abort();
  char *changed = calloc(strlen(text) + strlen(other) + 1, 1);
  memcpy(changed, text, (size_t)(at - text));
  strcat(strcat(changed, other), at + strlen(part));
  return changed;
}

static void fails(const char *envelope, const char *settings, const char *code, const char *path) {
  hm_test test;
  hm_test_run(&test, envelope, settings);
  hm_test_same("the failure's code", test.call.code, code);
  hm_test_same("the failure's place", test.call.path, path);
  hm_test_end(&test);
}

int main(void) {
  char *quotation = hm_test_read(DOCUMENTS "quotation-on-update.json");
  char *expected = hm_test_read(DOCUMENTS "expected/quotation-invoice.json");
  char *note = hm_test_read(DOCUMENTS "note-on-update.json");
  hm_test test;

  hm_test_run(&test, quotation, NULL);
  hm_test_same("a quotation becomes an invoice", test.body, expected);
  hm_test_same("and is logged", test.log, "info: invoice for SAL-QTN-2026-00001 over INR 1475.0\n");
  hm_test_end(&test);

  char *without = with(quotation, "\"currency\": \"INR\"", "\"currency\": null");
  char *euros = with(expected, "INR", "EUR");
  hm_test_run(&test, without, "{\"currency\": \"EUR\"}");
  hm_test_same("the currency falls back to the settings", test.body, euros);
  hm_test_end(&test);

  char *less = with(quotation, "\"net_total\": 1250.0", "\"net_total\": 1249.0");
  const char *warning = "warn: the lines of SAL-QTN-2026-00001 add up to 1250, not to 1249.0\n";
  hm_test_run(&test, less, NULL);
  char *first = calloc(strlen(warning) + 1, 1);
  hm_test_same("lines that do not add up are logged", strncpy(first, test.log, strlen(warning)), warning);
  hm_test_end(&test);

  char *five = with(quotation, "\"qty\": 5.0", "\"qty\": \"five\"");
  char *empty = with(quotation, "\"items\": [", "\"items\": [], \"others\": [");
  fails(note, NULL, "document_mismatch", NULL);
  fails(five, NULL, "document_mismatch", "/items/0/qty");
  fails(quotation, "{\"currancy\": \"EUR\"}", "settings_mismatch", "/currancy");
  fails(empty, NULL, "no_items", "/items");

  char *all[] = {quotation, expected, note, without, euros, less, first, five, empty};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
  return hm_test_failures();
}
