//! Bounds on what a template may make, where fuel does not count it.

use std::fmt::{self, Write};

use minijinja::value::{Kwargs, Value};
use minijinja::{Error, ErrorKind, State};

/// Bytes that all joins of one rendering may make together: more than a body may have.
const JOINED_BYTES_MAX: usize = 4 << 20;

/// What the joins of one rendering have left.
struct BytesLeft(usize);

/// Joins the items of a list, as minijinja's own filter of this name does, within a bound.
///
/// The library's own counts items and joiners, not what the items are made of, so that joins of joins would grow until
/// the process had no memory left.
pub(crate) fn join(
    state: &mut State<'_, '_>,
    list: &Value,
    joiner: Option<&str>,
    attribute: Option<&str>,
    options: Kwargs,
) -> Result<Value, Error> {
    let attribute = match attribute {
        Some(attribute) => Some(attribute),
        None => options.get("attribute")?,
    };
    let joiner = match joiner {
        Some(joiner) => Some(joiner),
        None => options.get("d")?,
    };
    options.assert_all_used()?;
    if list.is_none() || list.is_undefined() {
        return Err(Error::new(ErrorKind::InvalidOperation, "join needs a list, and there is none"));
    }
    let left = state.get_or_insert_extension(BytesLeft(JOINED_BYTES_MAX));
    let mut joined = Bounded { text: String::new(), left };
    for (place, item) in list.try_iter()?.enumerate() {
        let item = attribute.map_or_else(|| Ok(item.clone()), |attribute| path(&item, attribute))?;
        let piece = if place > 0 { joiner.unwrap_or_default() } else { "" };
        joined.item().and_then(|()| write!(joined, "{piece}{item}")).map_err(|_| {
            let message = format!("join makes more than the {JOINED_BYTES_MAX} bytes that it may");
            Error::new(ErrorKind::InvalidOperation, message)
        })?;
    }
    Ok(Value::from(joined.text))
}

/// Follows `a.b.c` into an item.
fn path(item: &Value, attribute: &str) -> Result<Value, Error> {
    attribute.split('.').try_fold(item.clone(), |value, key| value.get_attr(key))
}

/// Text that may grow by so many bytes.
struct Bounded<'a> {
    text: String,
    left: &'a mut BytesLeft,
}

impl Bounded<'_> {
    /// Counts an item, which takes time even if it is empty.
    fn item(&mut self) -> fmt::Result {
        self.take(1)
    }

    fn take(&mut self, bytes: usize) -> fmt::Result {
        self.left.0 = self.left.0.checked_sub(bytes).ok_or(fmt::Error)?;
        Ok(())
    }
}

impl Write for Bounded<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.take(piece.len())?;
        self.text.push_str(piece);
        Ok(())
    }
}
