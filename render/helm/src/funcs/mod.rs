//! The functions that charts call: all of Sprig's and Helm's that compute a value from values.
//!
//! `include`, `tpl`, `required`, `fail` and `lookup` need the engine, and are with it. `env` and `expandenv` do not exist in Helm.
//! `getHostByName` asks nobody and gives an empty text, as Helm does unless it is told otherwise.

mod case;
mod certs;
mod crypto;
mod decimal;
mod defaults;
mod dicts;
mod duration;
mod encode;
mod json;
mod lists;
mod numbers;
mod paths;
mod random;
mod regexps;
mod strings;
mod time;
mod toml;
mod urls;
mod value;
mod versions;
mod yaml;

use capstan_gotemplate::{Funcs, Function, Type};

pub use yaml::ValueBuilder;

use crate::context::HelmVersion;

/// The families that both versions have.
const FAMILIES: &[&[Function]] = &[
    strings::FUNCTIONS,
    lists::FUNCTIONS,
    dicts::FUNCTIONS,
    numbers::FUNCTIONS,
    defaults::FUNCTIONS,
    encode::FUNCTIONS,
    regexps::FUNCTIONS,
    versions::FUNCTIONS,
    paths::FUNCTIONS,
    urls::FUNCTIONS,
    json::FUNCTIONS,
    yaml::FUNCTIONS,
    toml::FUNCTIONS,
    time::FUNCTIONS,
    duration::FUNCTIONS,
    random::FUNCTIONS,
    certs::FUNCTIONS,
    crypto::FUNCTIONS,
    &[Function::new(
        "getHostByName",
        &[Type::String],
        Type::String,
        |_, _| value::give(""),
    )],
];

/// What only Helm 4 has.
const FAMILIES_V4: &[&[Function]] = &[
    yaml::FUNCTIONS_V4,
    toml::FUNCTIONS_V4,
    duration::FUNCTIONS_V4,
];

/// Adds the functions of a version.
pub fn register(funcs: &mut Funcs, version: HelmVersion) {
    let newer = if version == HelmVersion::V4 {
        FAMILIES_V4
    } else {
        &[]
    };
    for family in FAMILIES.iter().chain(newer) {
        funcs.extend(family.iter().copied());
    }
}

#[cfg(test)]
mod tests;
