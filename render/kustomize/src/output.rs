//! The values of an object between its nodes and its text: as JSON has them, only lighter, since every object of every build goes through
//! here.

use std::collections::BTreeSet;

use capstan_goyaml::{Build, Error, Marshal, Text, ValueWriter};

/// A value that is about to be written.
pub(crate) enum Output {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    String(Text),
    Sequence(Vec<Output>),
    Mapping(Vec<(Text, Output)>),
}

/// Makes [`Output`]s of nodes.
pub(crate) struct OutputBuilder;

impl Build for OutputBuilder {
    type Value = Output;

    fn null(&mut self) -> Output {
        Output::Null
    }

    fn bool(&mut self, value: bool) -> Output {
        Output::Bool(value)
    }

    fn int(&mut self, value: i64) -> Output {
        Output::Int(value)
    }

    fn uint(&mut self, value: u64) -> Output {
        Output::Uint(value)
    }

    fn float(&mut self, value: f64) -> Output {
        Output::Float(value)
    }

    fn string(&mut self, value: &str) -> Output {
        Output::String(value.into())
    }

    fn sequence(&mut self, items: Vec<Output>) -> Output {
        Output::Sequence(items)
    }

    fn mapping(&mut self, mut entries: Vec<(Text, Output)>) -> Output {
        if repeats(&entries) {
            let mut seen = BTreeSet::new();
            entries.reverse();
            entries.retain(|(key, _)| seen.insert(key.clone()));
        }
        Output::Mapping(entries)
    }
}

/// Whether a key is there twice, as keys can be that are merged. In an object the last one counts.
fn repeats(entries: &[(Text, Output)]) -> bool {
    /// Entries up to which keys are compared one by one.
    const FEW: usize = 16;
    if entries.len() <= FEW {
        let mut left = entries.iter();
        return std::iter::from_fn(|| {
            left.next()
                .map(|it| left.clone().any(|other| other.0 == it.0))
        })
        .any(|it| it);
    }
    let keys: BTreeSet<&Text> = entries.iter().map(|(key, _)| key).collect();
    keys.len() < entries.len()
}

impl Marshal for Output {
    fn marshal(&self, writer: &mut ValueWriter) -> Result<(), Error> {
        match self {
            Output::Null => writer.null(),
            Output::Bool(value) => writer.bool(*value),
            Output::Int(value) => writer.int(*value),
            Output::Uint(value) => writer.uint(*value),
            Output::Float(value) => writer.float(*value),
            Output::String(text) => writer.string(text),
            Output::Sequence(items) => writer.sequence(items.iter()),
            Output::Mapping(entries) => writer.mapping(entries.iter().map(|(k, v)| (k, v))),
        }
    }
}
