//! Text in a header's value, where HTTP has no room for it as it is.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What the HTTP binding of CloudEvents 1.0 (§3.1.3.2) has encoded: all but visible ASCII, and of that the space, the
/// quotation mark and the percent sign.
const IN_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Spells any text so that a header can bear it.
pub(crate) fn for_header(text: &str) -> String {
    utf8_percent_encode(text, IN_HEADER).to_string()
}
