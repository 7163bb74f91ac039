//! Slash-separated paths, as Go's `path` package.

use capstan_gotemplate::{Function, Type, Value};

use super::value::{bytes, give};

const S: &[Type] = &[Type::String];
const STRING: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("base", S, STRING, |_, args| give(base(bytes(args, 0)))),
    Function::new("dir", S, STRING, |_, args| give(dir(bytes(args, 0)))),
    Function::new("clean", S, STRING, |_, args| give(clean(bytes(args, 0)))),
    Function::new("ext", S, STRING, |_, args| give(ext(bytes(args, 0)))),
    Function::new("isAbs", S, Type::Bool, |_, args| {
        Ok(Value::Bool(bytes(args, 0).starts_with(b"/")))
    }),
    // Of the operating system, which is Linux wherever Helm's results are compared.
    Function::new("osBase", S, STRING, |_, args| give(base(bytes(args, 0)))),
    Function::new("osDir", S, STRING, |_, args| give(dir(bytes(args, 0)))),
    Function::new("osClean", S, STRING, |_, args| give(clean(bytes(args, 0)))),
    Function::new("osExt", S, STRING, |_, args| give(ext(bytes(args, 0)))),
    Function::new("osIsAbs", S, Type::Bool, |_, args| {
        Ok(Value::Bool(bytes(args, 0).starts_with(b"/")))
    }),
];

fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let end = path
        .iter()
        .rposition(|byte| *byte != b'/')
        .map_or(0, |last| last + 1);
    if end == 0 {
        return b"/";
    }
    let start = path[..end]
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1);
    &path[start..end]
}

fn dir(path: &[u8]) -> Vec<u8> {
    let end = path
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1);
    clean(&path[..end])
}

/// The shortest path that means the same.
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/".as_slice(), &joined].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

fn ext(path: &[u8]) -> &[u8] {
    let name = path
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1);
    match path[name..].iter().rposition(|byte| *byte == b'.') {
        Some(dot) => &path[name + dot..],
        None => b"",
    }
}
