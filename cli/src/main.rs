//! `capstan`: the command that people type.

mod api;
mod args;
mod commands;
mod context;
mod demo;
mod disk;
mod logs;
mod output;

use std::process::ExitCode;

fn main() -> ExitCode {
    match args::run(args::parse()) {
        Ok(code) => code,
        Err(error) => {
            output::tell(&format!("error: {error:#}"));
            ExitCode::from(args::FAILED)
        }
    }
}
