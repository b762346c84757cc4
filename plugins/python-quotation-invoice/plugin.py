"""Turns a Quotation into an invoice: line items, taxes, totals and currency, each number spelled as in the document."""

from typing import Any

from hookmill_sdk import BadDocument, Event, Number, Optional, Request, check, log, plugin

SETTINGS = {"currency": Optional(str)}

QUOTATION = {
    "name": str,
    "customer_name": Optional(str),
    "party_name": str,
    "transaction_date": str,
    "valid_till": Optional(str),
    "currency": Optional(str),
    "items": [
        {"item_code": str, "item_name": str, "qty": Number, "uom": str, "net_rate": Number, "net_amount": Number},
    ],
    "taxes": Optional([{"description": str, "rate": Number, "tax_amount": Number}]),
    "net_total": Number,
    "total_taxes_and_charges": Optional(Number),
    "grand_total": Number,
}


@plugin(settings=SETTINGS)
def transform(event: Event, draft: Request, settings: dict[str, Any]) -> Request:
    doc = check(event.exact, QUOTATION)
    name = doc["name"]
    if not doc["items"]:
        raise BadDocument("no_items", f"the quotation {name} has no items, so there is nothing to invoice", "/items")
    lines_total = sum(item["net_amount"] for item in doc["items"])
    if abs(lines_total - doc["net_total"]) > 0.01:
        log.warn(f"the lines of {name} add up to {lines_total}, not to {doc['net_total']}")
    currency = given(doc.get("currency"), settings.get("currency"), "USD")
    log.info(f"invoice for {name} over {currency} {doc['grand_total']}")
    invoice = {
        "reference": name,
        "customer": given(doc.get("customer_name"), doc["party_name"]),
        "issued": doc["transaction_date"],
        "due": doc.get("valid_till"),
        "currency": currency,
        "lines": [
            {
                "sku": item["item_code"],
                "name": item["item_name"],
                "quantity": item["qty"],
                "unit": item["uom"],
                "unitPrice": item["net_rate"],
                "amount": item["net_amount"],
            }
            for item in doc["items"]
        ],
        "taxes": [
            {"name": tax["description"], "percent": tax["rate"], "amount": tax["tax_amount"]}
            for tax in doc.get("taxes") or []
        ],
        "totals": {
            "net": doc["net_total"],
            "tax": doc.get("total_taxes_and_charges"),
            "grand": doc["grand_total"],
        },
    }
    if invoice["due"] is None:
        del invoice["due"]
    return draft.json(invoice)


def given(*values: Any) -> Any:
    """Returns the first value that is there."""
    return next(value for value in values if value is not None)
