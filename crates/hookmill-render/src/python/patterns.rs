//! Dates and times in the patterns of Unicode's letters (`dd-MM-yyyy`), in English.

use jiff::civil::DateTime;

use super::dates::format_in;

/// Writes a date. Frappe writes the month as `mm` too, and takes `Y` for the year.
pub(crate) fn date(moment: DateTime, pattern: &str) -> Result<String, String> {
    written(moment, &pattern.replace("mm", "MM").replace('Y', "y"))
}

/// Writes a moment in a pattern.
pub(crate) fn written(moment: DateTime, pattern: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (text, after) = quoted(rest);
            out.push_str(&text);
            rest = after;
            continue;
        }
        let end = rest.find(|character| character != first).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        if first.is_ascii_alphabetic() {
            out.push_str(&field(moment, first, run.len(), pattern)?);
        } else {
            out.push_str(run);
        }
    }
    Ok(out)
}

/// Returns the text between two apostrophes; two in a row are one.
fn quoted(pattern: &str) -> (String, &str) {
    let inside = pattern.strip_prefix('\'').unwrap_or(pattern);
    if let Some(after) = inside.strip_prefix('\'') {
        return ("'".into(), after);
    }
    let (text, after) = inside.split_once('\'').unwrap_or((inside, ""));
    (text.to_owned(), after)
}

fn field(moment: DateTime, letter: char, count: usize, pattern: &str) -> Result<String, String> {
    let number = |value: i64| Ok(format!("{value:0count$}"));
    let hour = i64::from(moment.hour());
    let names = |full: &str, short: &str| format_in(moment, if count == 4 { full } else { short });
    match letter {
        'y' if count == 2 => format_in(moment, "%y"),
        'y' => number(moment.year().into()),
        'Y' => number(moment.date().iso_week_date().year().into()),
        'M' | 'L' if count < 3 => number(moment.month().into()),
        'M' | 'L' if count < 5 => names("%B", "%b"),
        'd' => number(moment.day().into()),
        'D' => number(moment.date().day_of_year().into()),
        'E' | 'e' | 'c' if count < 5 && (letter == 'E' || count > 2) => names("%A", "%a"),
        'a' => format_in(moment, "%p"),
        'h' => number((hour + 11) % 12 + 1),
        'H' => number(hour),
        'K' => number(hour % 12),
        'k' => number((hour + 23) % 24 + 1),
        'm' => number(moment.minute().into()),
        's' => number(moment.second().into()),
        'S' => {
            let nanos = format!("{:09}", moment.subsec_nanosecond());
            Ok(nanos.get(..count.min(9)).unwrap_or_default().to_owned())
        }
        'Q' | 'q' if count < 3 => number(i64::from((moment.month() - 1) / 3 + 1)),
        'w' => number(moment.date().iso_week_date().week().into()),
        _ => Err(format!("the letter {letter:?} of the pattern {pattern:?} is not offered here")),
    }
}
