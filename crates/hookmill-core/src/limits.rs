//! Every bound of the core, with its reason. Bounds of one room stand in that room.

/// Bytes of one document. Ten times what the largest documents of an ERP have without attachments.
pub const DOC_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of one request body sent to a receiver. Receivers commonly refuse more.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a reply that are read and kept; enough for any error page's first screens.
pub const REPLY_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a reply's header names and values that are kept; real ones have a tenth of it.
pub const REPLY_HEADER_BYTES_MAX: usize = 32 * 1024;

/// Webhooks that one event may match. Each costs a delivery in the same commit.
pub const DELIVERIES_PER_EVENT_MAX: usize = 1_000;

/// Data rows, and headers, of one webhook. A form with more is a template's job.
pub const ROWS_MAX: usize = 256;

/// Secrets that one webhook signs with. Each makes the signature longer, and a rotation needs two.
pub const SECRETS_MAX: usize = 10;

/// Bytes of a webhook's condition, URL, template or plugin settings.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Shortest and longest time that a request may take, in milliseconds. Past five minutes a receiver should answer 202.
pub const TIMEOUT_MS: std::ops::RangeInclusive<u32> = 100..=300_000;

/// Longest time for which events of one document are gathered, in milliseconds: an hour.
pub const COALESCE_MS_MAX: u32 = 3_600_000;

/// Entries of a retry schedule.
pub const RETRIES_MAX: usize = 50;

/// Longest wait between two tries that a schedule may ask for, in seconds: 30 days.
pub const RETRY_WAIT_SECS_MAX: u64 = 30 * 24 * 3600;

/// Longest wait that a receiver's `Retry-After` is granted, in seconds: a day, as the longest of the default schedule.
/// A receiver that names a year must not keep an event past its retention.
pub const RETRY_AFTER_SECS_MAX: u64 = 24 * 3600;
