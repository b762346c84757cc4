//! The hookmill command line.
