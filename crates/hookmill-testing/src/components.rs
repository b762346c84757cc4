//! The components that `cargo xtask plugins` builds.

use std::path::PathBuf;

/// Returns an example plugin, for example `rust_quotation_invoice`.
pub fn example_plugin(name: &str) -> Vec<u8> {
    built("plugins", name)
}

/// Returns the guest that misbehaves on demand.
pub fn misbehaving() -> Vec<u8> {
    guest("misbehaving")
}

/// Returns a guest of the tests, for example `python_misbehaving`.
pub fn guest(name: &str) -> Vec<u8> {
    built("guests-wasm", name)
}

fn built(folder: &str, name: &str) -> Vec<u8> {
    let path = target_dir().join(folder).join(format!("{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{} can't be read ({error}); run `cargo xtask plugins`", path.display()))
}

/// Returns the folder into which cargo builds: the one that xtask names, else the one that this test runs from.
pub fn target_dir() -> PathBuf {
    if let Some(named) = std::env::var_os("HOOKMILL_TARGET_DIR").or_else(|| std::env::var_os("CARGO_TARGET_DIR")) {
        return named.into();
    }
    let program = std::env::current_exe().expect("a running program has a path");
    program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from)
}
