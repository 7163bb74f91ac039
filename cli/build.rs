//! Links the command that people type at a fixed address.
//!
//! A position-independent program of this size spends longer on its own relocations than `capstan render` takes for something small. The
//! servers that are reached over a network, `capstan-hub` and `capstan-agent`, stay position-independent.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|it| it == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg-bin=capstan=-no-pie");
    }
}
