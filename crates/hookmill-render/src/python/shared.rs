//! Lists and dictionaries: what every name that they have sees changed.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use indexmap::{Equivalent, IndexMap};

use super::{Py, ops};

/// The entries of a dictionary, in the order of their first setting.
pub(crate) type Dict = IndexMap<Key, Py>;

/// The key of an entry: mostly text.
#[derive(Debug, Clone)]
pub(crate) struct Key(pub(crate) Py);

impl Key {
    /// Makes a key of text.
    pub(crate) fn text(text: impl Into<Arc<str>>) -> Self {
        Self(Py::Str(text.into()))
    }

    /// Makes a key of a value, if Python would.
    pub(crate) fn of(value: &Py) -> Result<Self, String> {
        let mut values = vec![value];
        let mut seen = 0;
        while let Some(next) = values.pop() {
            seen += 1;
            match next {
                Py::List(_) | Py::Dict(..) | Py::Set(_) | Py::Object(_) => {
                    return Err(format!("unhashable type: '{}'", next.type_name()));
                }
                Py::Tuple(items) => values.extend(items.iter()),
                _ => {}
            }
            if seen > 100 {
                return Err("the key is too large".into());
            }
        }
        Ok(Self(value.clone()))
    }

    /// Returns the key, if it is text.
    pub(crate) fn as_str(&self) -> Option<&str> {
        self.0.as_str()
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Py::Str(text) => text.hash(state),
            // Numbers that are equal are one key, whatever their type.
            value => match ops::number(value) {
                Some(number) => (number + 0.0).to_bits().hash(state),
                None => value.type_name().hash(state),
            },
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Py::Str(a), Py::Str(b)) => a == b,
            // A date and its text are two keys, though a condition takes them for equal.
            (Py::Str(_), _) | (_, Py::Str(_)) => false,
            (a, b) => ops::equal(a, b),
        }
    }
}

impl Eq for Key {}

impl Equivalent<Key> for str {
    fn equivalent(&self, key: &Key) -> bool {
        key.as_str() == Some(self)
    }
}

/// Something that changes in place. Reading takes a picture of it, so that nothing waits for a reader.
#[derive(Debug)]
pub(crate) struct Shared<T>(Arc<RwLock<Arc<T>>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone> Shared<T> {
    pub(crate) fn new(content: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(content))))
    }

    /// Returns the content as it is now.
    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the content.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(Arc::make_mut(&mut self.0.write().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Tells whether nothing else holds it yet.
    pub(crate) fn is_new(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Tells whether both are the same one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
