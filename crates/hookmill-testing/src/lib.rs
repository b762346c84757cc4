//! Real parts for hookmill's tests.
