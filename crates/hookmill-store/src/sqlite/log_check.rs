//! Tells damage of the write-ahead log from the torn end that a power cut leaves.
//!
//! SQLite can't: at the first frame that does not fit it takes the log to end there, and what was acknowledged behind
//! it is silently gone. But each commit is synced before the next is written, so a cut tears one transaction at most.
//! Whole transactions behind a gap are therefore damage. Damage of the very last one can't be told from a cut.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The magic number; its lowest bit says in which order of bytes checksums are made.
const MAGIC: u32 = 0x377f_0682;

/// The running checksum of the log, of SQLite's own kind.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Sum(u32, u32);

impl Sum {
    fn over(mut self, bytes: &[u8], big_endian: bool) -> Self {
        let word = |bytes: [u8; 4]| if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        for pair in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
            self.0 = self.0.wrapping_add(word(pair[0])).wrapping_add(self.1);
            self.1 = self.1.wrapping_add(word(pair[1])).wrapping_add(self.0);
        }
        self
    }
}

/// What is read of the log so far, behind the first frame that does not fit.
#[derive(Default)]
struct Gap {
    /// Whether the frame that does not fit claims to end a transaction.
    ended_one: bool,
    /// Ends of transactions behind it that fit to the frame before them.
    ends: u32,
}

/// Returns what is wrong with the log; nothing is if it is missing, or ends as a cut may leave it.
pub(super) fn damage(path: &Path) -> io::Result<Option<&'static str>> {
    let mut log = match File::open(path) {
        Ok(file) => BufReader::with_capacity(1 << 20, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(None);
    }
    let big_endian = number(&header, 0) & 1 == 1;
    let mut sum = Sum::default().over(&header[..24], big_endian);
    if number(&header, 0) & !1 != MAGIC || sum != sum_at(&header, 24) {
        // The header is synced before anything follows it.
        return Ok(holds_anything(&mut log)?.then_some("its header is not what was written"));
    }
    let page = usize::try_from(number(&header, 8)).unwrap_or_default();
    if !(512..=65_536).contains(&page) {
        return Ok(Some("its header names no possible size of pages"));
    }
    let mut frame = vec![0; FRAME_HEADER + page];
    let mut gap: Option<Gap> = None;
    while fill(&mut log, &mut frame)? {
        let ours = frame[8..16] == header[16..24];
        let ends = number(&frame, 4) != 0;
        let fits =
            ours && sum.over(&frame[..8], big_endian).over(&frame[FRAME_HEADER..], big_endian) == sum_at(&frame, 16);
        match &mut gap {
            None if !fits => gap = Some(Gap { ended_one: ours && ends, ends: 0 }),
            Some(gap) if fits && ends => gap.ends += 1,
            _ => {}
        }
        sum = sum_at(&frame, 16);
    }
    let damaged = gap.is_some_and(|gap| gap.ends + u32::from(gap.ended_one && gap.ends > 0) > 1);
    Ok(damaged.then_some("a frame is not what was written, and whole transactions follow it"))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn sum_at(bytes: &[u8], at: usize) -> Sum {
    Sum(number(bytes, at), number(bytes, at + 4))
}

/// Fills `bytes`; false if the file ends before.
fn fill(log: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn holds_anything(log: &mut impl Read) -> io::Result<bool> {
    let mut chunk = vec![0; 1 << 16];
    loop {
        match log.read(&mut chunk)? {
            0 => return Ok(false),
            len if chunk.iter().take(len).any(|byte| *byte != 0) => return Ok(true),
            _ => {}
        }
    }
}
