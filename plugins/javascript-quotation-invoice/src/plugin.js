// Turns a Quotation into an invoice: line items, taxes, totals and currency, each number spelled as in the document.

import { BadDocument, check, log, optional, plugin } from "hookmill-sdk";

const SETTINGS = { currency: optional("string") };

const QUOTATION = {
  name: "string",
  customer_name: optional("string"),
  party_name: "string",
  transaction_date: "string",
  valid_till: optional("string"),
  currency: optional("string"),
  items: [
    { item_code: "string", item_name: "string", qty: "exact", uom: "string", net_rate: "exact", net_amount: "exact" },
  ],
  taxes: optional([{ description: "string", rate: "exact", tax_amount: "exact" }]),
  net_total: "exact",
  total_taxes_and_charges: optional("exact"),
  grand_total: "exact",
};

export const transform = plugin(
  (event, draft, settings) => {
    const doc = check(event.exact, QUOTATION);
    if (doc.items.length === 0) {
      const message = `the quotation ${doc.name} has no items, so there is nothing to invoice`;
      throw new BadDocument("no_items", message, "/items");
    }
    const linesTotal = doc.items.reduce((sum, item) => sum + Number(item.net_amount), 0);
    if (Math.abs(linesTotal - Number(doc.net_total)) > 0.01) {
      log.warn(`the lines of ${doc.name} add up to ${linesTotal}, not to ${doc.net_total}`);
    }
    const currency = doc.currency ?? settings.currency ?? "USD";
    log.info(`invoice for ${doc.name} over ${currency} ${doc.grand_total}`);
    const invoice = {
      reference: doc.name,
      customer: doc.customer_name ?? doc.party_name,
      issued: doc.transaction_date,
      due: doc.valid_till ?? undefined,
      currency,
      lines: doc.items.map((item) => ({
        sku: item.item_code,
        name: item.item_name,
        quantity: item.qty,
        unit: item.uom,
        unitPrice: item.net_rate,
        amount: item.net_amount,
      })),
      taxes: (doc.taxes ?? []).map((tax) => ({ name: tax.description, percent: tax.rate, amount: tax.tax_amount })),
      totals: { net: doc.net_total, tax: doc.total_taxes_and_charges ?? null, grand: doc.grand_total },
    };
    return { ...draft, json: invoice };
  },
  { settings: SETTINGS },
);
