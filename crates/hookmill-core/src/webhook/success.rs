//! Which answers mean that the receiver has it.

use serde::{Deserialize, Serialize};

/// Entries of a list of statuses.
const ENTRIES_MAX: usize = 50;

/// The statuses that count as success: single ones (`"409"`) and classes (`"2xx"`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Success(Vec<Statuses>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statuses {
    One(u16),
    Class(u16),
}

impl Default for Success {
    fn default() -> Self {
        Self(vec![Statuses::Class(2)])
    }
}

impl Success {
    /// Tells whether an answer with this status means that the receiver has it.
    pub fn has(&self, status: u16) -> bool {
        self.0.iter().any(|statuses| match statuses {
            Statuses::One(one) => *one == status,
            Statuses::Class(class) => status / 100 == *class,
        })
    }

    /// Tells whether these are the usual statuses.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl TryFrom<Vec<String>> for Success {
    type Error = String;

    fn try_from(written: Vec<String>) -> Result<Self, String> {
        if written.is_empty() || written.len() > ENTRIES_MAX {
            return Err(format!("`success` has {} entries; it has 1 to {ENTRIES_MAX}", written.len()));
        }
        let parse = |text: &String| match text.strip_suffix("xx") {
            Some(class) => class.parse().ok().filter(|class| (2..=5).contains(class)).map(Statuses::Class),
            None => text.parse().ok().filter(|status| (200..=599).contains(status)).map(Statuses::One),
        };
        let fault = |text: &String| {
            format!("`success` has {text:?}; an entry is a status such as \"409\" or a class such as \"2xx\"")
        };
        written.iter().map(|text| parse(text).ok_or_else(|| fault(text))).collect::<Result<_, _>>().map(Self)
    }
}

impl From<Success> for Vec<String> {
    fn from(Success(all): Success) -> Self {
        let written = |statuses: &Statuses| match statuses {
            Statuses::One(status) => status.to_string(),
            Statuses::Class(class) => format!("{class}xx"),
        };
        all.iter().map(written).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_classes_are_told_apart() {
        let success: Success = serde_json::from_str(r#"["2xx","409"]"#).expect("statuses");
        assert_eq!((100..600).filter(|status| success.has(*status)).count(), 101);
        assert!(success.has(299) && success.has(409) && !success.has(410) && !success.is_default());
        assert_eq!(serde_json::to_string(&success).expect("JSON"), r#"["2xx","409"]"#);
        for nonsense in ["[]", r#"["9xx"]"#, r#"["abc"]"#, r#"["20"]"#, r#"["xx"]"#, "[200]"] {
            assert!(serde_json::from_str::<Success>(nonsense).is_err(), "{nonsense} was taken");
        }
    }
}
