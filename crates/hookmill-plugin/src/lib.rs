//! Runs untrusted WebAssembly components in hookmill.
