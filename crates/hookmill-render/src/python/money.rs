//! Amounts of money, and numbers in words.

use super::builtins::exactly_rounded;
use super::utils::{cint, flt};
use super::{Args, Py, ops, spell};

/// The signs that a site has for currencies when it is set up; the code itself stands for the others.
const SIGNS: &str = "AED د.إ|ARS $|AUD $|BDT ৳|BGN лв|BHD .د.ب|BRL R$|CAD $|CHF Fr|CLP $|COP $|CRC ₡|CZK Kč|DKK kr|EGP £ or ج.م|\
    EUR €|GBP £|GHS ₵|HKD $|HUF Ft|IDR Rp|ILS ₪|INR ₹|IRR ﷼|ISK kr|JOD د.ا|JPY ¥|KES Sh|KWD د.ك|KZT ₸|LKR Rs|MAD د.م.|MXN $|\
    MYR RM|NGN ₦|NOK kr|NPR ₨|NZD $|OMR ر.ع.|PEN S/.|PHP ₱|PKR ₨|PLN zł|QAR ر.ق|RON lei|RSD дин.|SAR ر.س|SEK kr|SGD $|THB ฿|\
    TND د.ت|TRY ₺|UAH ₴|UGX Sh|USD $|UYU $|XAF FCFA|XOF CFA|ZAR R";

/// Returns decimal sign, thousands' sign and decimals of one of Frappe's number formats.
pub(crate) fn number_format(format: &str) -> (&'static str, &'static str, usize) {
    match format {
        "#.###,##" => (",", ".", 2),
        "# ###.##" => (".", " ", 2),
        "# ###,##" => (",", " ", 2),
        "#'###.##" => (".", "'", 2),
        "#, ###.##" => (".", ", ", 2),
        "#,###.###" => (".", ",", 3),
        "#.###" => ("", ".", 0),
        "#,###" => ("", ",", 0),
        "#.########" => (".", "", 8),
        _ => (".", ",", 2),
    }
}

/// Frappe's `fmt_money`.
pub(crate) fn fmt_money(args: &Args) -> Result<Py, String> {
    let format = args.get(3, "format").as_str().unwrap_or("#,###.##");
    let (point, comma, usual) = number_format(format);
    let asked = args.get(1, "precision");
    let mut digits = if matches!(asked, Py::None) { usual } else { usize::try_from(cint(asked)).unwrap_or(0).min(20) };
    let currency = args.get(2, "currency").as_str().filter(|currency| !currency.is_empty());
    let amount = match args.get(0, "amount") {
        Py::None => 0.0,
        value @ Py::Str(_) => exactly_rounded(flt(value), digits as i128),
        value => ops::number(value).ok_or_else(|| format!("'{}' is no amount", value.type_name()))?,
    };
    if digits > 2 && !point.is_empty() {
        let fraction = spell::float(exactly_rounded(amount.rem_euclid(1.0), digits as i128));
        let length = fraction.split('.').nth(1).map_or(fraction.len(), str::len);
        if length < 3 {
            digits = if currency.is_some() { 2 } else { usual };
        } else if length < digits {
            digits = length;
        }
    }
    let written = format!("{:.digits$}", exactly_rounded(amount, digits as i128));
    let decimals = written.split('.').nth(1).unwrap_or_default();
    let rounded: f64 = written.parse().unwrap_or(0.0);
    let whole = spell::float(rounded.abs());
    let whole = whole.split('.').next().unwrap_or_default();
    let mut out = grouped(whole, comma, format == "#,##,###.##");
    if digits > 0 && !point.is_empty() {
        out = format!("{out}{point}{decimals}");
    }
    if rounded < 0.0 && out != "0" {
        out.insert(0, '-');
    }
    Ok(Py::str(match currency {
        Some(currency) => format!("{} {out}", sign(currency)),
        None => out,
    }))
}

fn sign(currency: &str) -> &str {
    SIGNS
        .split('|')
        .filter_map(|entry| entry.split_once(' '))
        .find(|(code, _)| *code == currency)
        .map_or(currency, |(_, sign)| sign)
}

fn grouped(whole: &str, mark: &str, lakhs: bool) -> String {
    let mut parts = Vec::new();
    let mut rest = whole;
    let mut size = 3;
    while rest.len() > size {
        let (before, last) = rest.split_at(rest.len() - size);
        parts.push(last);
        rest = before;
        size = if lakhs { 2 } else { 3 };
    }
    parts.push(rest);
    parts.reverse();
    parts.join(mark)
}

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SCALES: [(u64, &str); 4] =
    [(1_000_000_000_000, "trillion"), (1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand")];

/// Frappe's `in_words`, in English.
pub(crate) fn in_words(value: &Py) -> Result<Py, String> {
    let whole = cint(value);
    let size = u64::try_from(whole.unsigned_abs()).ok().filter(|size| *size < 1_000_000_000_000_000);
    let words = words(size.ok_or("the number is too large")?);
    Ok(Py::str(if whole < 0 { format!("minus {words}") } else { words }))
}

fn words(number: u64) -> String {
    let mut parts = Vec::new();
    let mut rest = number;
    for (scale, name) in SCALES {
        if rest >= scale {
            parts.push(format!("{} {name}", below_thousand(rest / scale)));
            rest %= scale;
        }
    }
    match rest {
        0 if !parts.is_empty() => parts.join(", "),
        1..100 if !parts.is_empty() => format!("{} and {}", parts.join(", "), below_thousand(rest)),
        _ => {
            parts.push(below_thousand(rest));
            parts.join(", ")
        }
    }
}

fn below_thousand(number: u64) -> String {
    let one = |place: u64| usize::try_from(place).ok().and_then(|place| ONES.get(place)).copied().unwrap_or_default();
    let ten = |place: u64| usize::try_from(place).ok().and_then(|place| TENS.get(place)).copied().unwrap_or_default();
    match (number / 100, number % 100) {
        (0, rest) if rest < 20 => one(rest).to_owned(),
        (0, rest) if rest % 10 == 0 => ten(rest / 10).to_owned(),
        (0, rest) => format!("{} {}", ten(rest / 10), one(rest % 10)),
        (hundreds, 0) => format!("{} hundred", one(hundreds)),
        (hundreds, rest) => format!("{} hundred and {}", one(hundreds), below_thousand(rest)),
    }
}
