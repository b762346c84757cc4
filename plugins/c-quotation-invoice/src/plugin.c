// Turns a Quotation into an invoice: line items, taxes, totals and currency, each number spelled as in the document.

#include <math.h>
#include <string.h>

#include "hookmill/hookmill.h"

static void put_lines(hm_call *call, hm_out *invoice, hm_value *items) {
  hm_out *lines = hm_put_array(call, invoice, "lines");
  for (size_t i = 0; i < hm_count(items); i++) {
    hm_value *item = hm_item(items, i);
    hm_out *line = hm_add_object(call, lines);
    hm_put_text(call, line, "sku", hm_text(call, item, "item_code"));
    hm_put_text(call, line, "name", hm_text(call, item, "item_name"));
    hm_put_number(call, line, "quantity", hm_number(call, item, "qty"));
    hm_put_text(call, line, "unit", hm_text(call, item, "uom"));
    hm_put_number(call, line, "unitPrice", hm_number(call, item, "net_rate"));
    hm_put_number(call, line, "amount", hm_number(call, item, "net_amount"));
  }
}

static void put_taxes(hm_call *call, hm_out *invoice, hm_value *taxes) {
  hm_out *lines = hm_put_array(call, invoice, "taxes");
  for (size_t i = 0; i < hm_count(taxes); i++) {
    hm_value *tax = hm_item(taxes, i);
    hm_out *line = hm_add_object(call, lines);
    hm_put_text(call, line, "name", hm_text(call, tax, "description"));
    hm_put_number(call, line, "percent", hm_number(call, tax, "rate"));
    hm_put_number(call, line, "amount", hm_number(call, tax, "tax_amount"));
  }
}

hm_decision hookmill_transform(hm_call *call, const hm_event *event, const hm_request *draft) {
  (void)event;
  hm_only_settings(call, "currency", NULL);
  hm_value *doc = hm_doc(call);
  const char *name = hm_text(call, doc, "name");
  const char *party = hm_text(call, doc, "party_name");
  hm_value *items = hm_array(call, doc, "items");
  if (hm_count(items) == 0) {
    return hm_bad_document(call, "no_items", "/items", "the quotation %s has no items, so there is nothing to invoice", name);
  }
  const char *net = hm_number(call, doc, "net_total");
  const char *grand = hm_number(call, doc, "grand_total");
  double lines_total = 0;
  for (size_t i = 0; i < hm_count(items); i++) lines_total += hm_double(hm_number(call, hm_item(items, i), "net_amount"));
  if (fabs(lines_total - hm_double(net)) > 0.01) {
    hm_warn("the lines of %s add up to %.15g, not to %s", name, lines_total, net);
  }
  const char *currency = hm_text_or(call, doc, "currency", hm_text_or(call, hm_settings(call), "currency", "USD"));
  const char *due = hm_text_or(call, doc, "valid_till", NULL);

  hm_out *invoice = hm_new_object(call);
  hm_put_text(call, invoice, "reference", name);
  hm_put_text(call, invoice, "customer", hm_text_or(call, doc, "customer_name", party));
  hm_put_text(call, invoice, "issued", hm_text(call, doc, "transaction_date"));
  if (due) hm_put_text(call, invoice, "due", due);
  hm_put_text(call, invoice, "currency", currency);
  put_lines(call, invoice, items);
  put_taxes(call, invoice, hm_array_or_null(call, doc, "taxes"));
  hm_out *totals = hm_put_object(call, invoice, "totals");
  hm_put_number(call, totals, "net", net);
  hm_put_number(call, totals, "tax", hm_number_or(call, doc, "total_taxes_and_charges", NULL));
  hm_put_number(call, totals, "grand", grand);
  hm_info("invoice for %s over %s %s", name, currency, grand);
  return hm_send_json(call, draft, invoice);
}
