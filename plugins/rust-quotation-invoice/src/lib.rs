//! Turns a Quotation into an invoice: line items, taxes, totals and currency, each number spelled as in the document.

use std::borrow::Cow;

use hookmill_sdk::{Decision, Event, Failure, Number, Request};
use serde::{Deserialize, Serialize};

/// What a webhook can set for this plugin.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Stands in for a quotation's currency if it has none.
    currency: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { currency: "USD".to_owned() }
    }
}

#[derive(Deserialize)]
struct Quotation<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    customer_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    party_name: Cow<'a, str>,
    #[serde(borrow)]
    transaction_date: Cow<'a, str>,
    #[serde(borrow)]
    valid_till: Option<Cow<'a, str>>,
    #[serde(borrow)]
    currency: Option<Cow<'a, str>>,
    #[serde(borrow)]
    items: Vec<Item<'a>>,
    #[serde(borrow, default)]
    taxes: Vec<Tax<'a>>,
    #[serde(borrow)]
    net_total: Number<'a>,
    #[serde(borrow)]
    total_taxes_and_charges: Option<Number<'a>>,
    #[serde(borrow)]
    grand_total: Number<'a>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    item_code: Cow<'a, str>,
    #[serde(borrow)]
    item_name: Cow<'a, str>,
    #[serde(borrow)]
    qty: Number<'a>,
    #[serde(borrow)]
    uom: Cow<'a, str>,
    #[serde(borrow)]
    net_rate: Number<'a>,
    #[serde(borrow)]
    net_amount: Number<'a>,
}

#[derive(Deserialize)]
struct Tax<'a> {
    #[serde(borrow)]
    description: Cow<'a, str>,
    #[serde(borrow)]
    rate: Number<'a>,
    #[serde(borrow)]
    tax_amount: Number<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invoice<'a> {
    reference: &'a str,
    customer: &'a str,
    issued: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<&'a str>,
    currency: &'a str,
    lines: Vec<Line<'a>>,
    taxes: Vec<TaxLine<'a>>,
    totals: Totals<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    sku: &'a str,
    name: &'a str,
    quantity: Number<'a>,
    unit: &'a str,
    unit_price: Number<'a>,
    amount: Number<'a>,
}

#[derive(Serialize)]
struct TaxLine<'a> {
    name: &'a str,
    percent: Number<'a>,
    amount: Number<'a>,
}

#[derive(Serialize)]
struct Totals<'a> {
    net: Number<'a>,
    tax: Option<Number<'a>>,
    grand: Number<'a>,
}

fn transform(event: &Event, draft: Request, settings: Settings) -> Result<Decision, Failure> {
    let doc: Quotation = event.doc()?;
    if doc.items.is_empty() {
        let message = format!("the quotation {} has no items, so there is nothing to invoice", doc.name);
        return Err(Failure::bad_document("no_items", message).at("/items"));
    }
    let lines_total: f64 = doc.items.iter().map(|item| item.net_amount.as_f64()).sum();
    if (lines_total - doc.net_total.as_f64()).abs() > 0.01 {
        hookmill_sdk::warn!("the lines of {} add up to {lines_total}, not to {}", doc.name, doc.net_total);
    }
    let invoice = Invoice {
        reference: &doc.name,
        customer: doc.customer_name.as_deref().unwrap_or(&doc.party_name),
        issued: &doc.transaction_date,
        due: doc.valid_till.as_deref(),
        currency: doc.currency.as_deref().unwrap_or(&settings.currency),
        lines: doc.items.iter().map(Line::from).collect(),
        taxes: doc.taxes.iter().map(TaxLine::from).collect(),
        totals: Totals { net: doc.net_total, tax: doc.total_taxes_and_charges, grand: doc.grand_total },
    };
    hookmill_sdk::info!("invoice for {} over {} {}", doc.name, invoice.currency, doc.grand_total);
    Ok(draft.json(&invoice)?.into())
}

impl<'a> From<&'a Item<'a>> for Line<'a> {
    fn from(item: &'a Item<'a>) -> Self {
        Self {
            sku: &item.item_code,
            name: &item.item_name,
            quantity: item.qty,
            unit: &item.uom,
            unit_price: item.net_rate,
            amount: item.net_amount,
        }
    }
}

impl<'a> From<&'a Tax<'a>> for TaxLine<'a> {
    fn from(tax: &'a Tax<'a>) -> Self {
        Self { name: &tax.description, percent: tax.rate, amount: tax.tax_amount }
    }
}

hookmill_sdk::plugin!(transform);

#[cfg(test)]
mod tests;
