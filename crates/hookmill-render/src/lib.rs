//! The no-code half of a webhook: condition, data rows, templates.
