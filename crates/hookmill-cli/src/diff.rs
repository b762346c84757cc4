//! What differs between two texts: by path for JSON, by line for others.

pub(crate) use hookmill::json_diff::json;
use similar::TextDiff;

/// Lines around a difference in a text.
const CONTEXT_LINES: usize = 2;

/// Compares two texts line by line; the lines of the result begin with `-`, `+` or a blank.
pub(crate) fn lines(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let unified = diff.unified_diff().context_radius(CONTEXT_LINES).missing_newline_hint(false).to_string();
    unified.lines().filter(|line| !line.starts_with("@@")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_differs_by_line() {
        assert_eq!(lines("a\nb\nc\n", "a\nB\nc\n"), " a\n-b\n+B\n c");
    }
}
