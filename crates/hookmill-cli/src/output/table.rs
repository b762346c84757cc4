//! Rows in columns.

use console::{measure_text_width, truncate_str};

use super::{Output, Span};

/// Columns stand this far apart.
const GAP: usize = 2;

/// A last column is not cut to less than this, however narrow the screen is.
const LAST_WIDTH_MIN: usize = 12;

impl Output {
    /// Prints rows in columns, with a heading. Where the width of the screen is known, the last column is cut to fit, and
    /// what is cut is marked with `…`.
    pub(crate) fn table<const N: usize>(&self, heads: [&str; N], mut rows: Vec<[Span; N]>) {
        for cell in rows.iter_mut().flatten() {
            cell.make_inline();
        }
        let mut widths = heads.map(measure_text_width);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(measure_text_width(cell.text()));
            }
        }
        if let (Some(screen), Some((last, others))) = (self.width, widths.split_last_mut()) {
            let taken: usize = others.iter().map(|width| width + GAP).sum();
            *last = (*last).min(screen.saturating_sub(taken).max(LAST_WIDTH_MIN));
        }
        self.spans(&line(heads.map(|head| Span::Bold(head.into())), &widths));
        for row in rows {
            self.spans(&line(row, &widths));
        }
    }
}

/// Pads each cell to its column, but for the last, and cuts what is wider.
fn line<const N: usize>(cells: [Span; N], widths: &[usize; N]) -> Vec<Span> {
    let mut spans = Vec::with_capacity(2 * N);
    // Nothing is padded before something follows, so that no line ends in blanks.
    let mut owed = 0;
    for (mut cell, width) in cells.into_iter().zip(widths) {
        let cut = truncate_str(cell.text(), *width, "…").into_owned();
        let filled = measure_text_width(&cut);
        if filled > 0 {
            spans.push(Span::Plain(" ".repeat(owed)));
            owed = 0;
        }
        cell.set_text(cut);
        spans.push(cell);
        owed += width - filled.min(*width) + GAP;
    }
    spans
}
