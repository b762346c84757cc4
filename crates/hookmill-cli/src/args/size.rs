//! How many bytes the store may occupy, as people write it.

use std::str::FromStr;

/// The least that is of use: the log of the store alone takes up to half of it.
const LEAST: u64 = 256 << 20;

/// A size such as `512MiB`, `20GB` or a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoreSize(u64);

impl StoreSize {
    pub(crate) fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for StoreSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no size; write 512MiB, 20GB or a number of bytes");
        let (number, unit) = text.split_at(text.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(text.len()));
        let unit: u64 = match unit.trim_start() {
            "" | "B" => 1,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(wrong()),
        };
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
        if bytes < LEAST {
            return Err(format!("{text:?} is less than 256MiB, of which the log of the store alone may take half"));
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let bytes = |text: &str| text.parse().map(StoreSize::bytes);
        assert_eq!(bytes("512MiB"), Ok(512 << 20));
        assert_eq!(bytes("20 GB"), Ok(20_000_000_000));
        assert_eq!(bytes("1TiB"), Ok(1 << 40));
        assert_eq!(bytes("268435456"), Ok(256 << 20));
        for wrong in ["", "GB", "-1GB", "1.5GB", "10 gigs", "99999999TiB", "18446744073709551616"] {
            assert!(bytes(wrong).is_err_and(|error| error.contains("is no size")), "{wrong}");
        }
        assert!(bytes("255MiB").is_err_and(|error| error.contains("less than 256MiB")));
    }
}
