//! What is random in Helm, and derived from the release's secret here: the same at every render, unknown to those who have not the secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capstan_gotemplate::{Ctx, Function, Type, Value};

use super::value::{Result, give, int, text};
use crate::context::{self, Derived};

const COUNT: &[Type] = &[Type::INT];
const STRING: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("randAlphaNum", COUNT, STRING, |ctx, args| {
        characters(ctx, "randAlphaNum", int(args, 0), |byte| {
            byte.is_ascii_alphanumeric()
        })
    }),
    Function::new("randAlpha", COUNT, STRING, |ctx, args| {
        characters(ctx, "randAlpha", int(args, 0), |byte| {
            byte.is_ascii_alphabetic()
        })
    }),
    Function::new("randNumeric", COUNT, STRING, |ctx, args| {
        characters(ctx, "randNumeric", int(args, 0), |byte| {
            byte.is_ascii_digit()
        })
    }),
    Function::new("randAscii", COUNT, STRING, |ctx, args| {
        characters(ctx, "randAscii", int(args, 0), |byte| {
            byte.is_ascii_graphic() || *byte == b' '
        })
    }),
    Function::new("randInt", &[Type::INT, Type::INT], Type::INT, rand_int),
    Function::new("randBytes", COUNT, STRING, rand_bytes),
    Function::new("uuidv4", &[], STRING, uuid),
    Function::new("shuffle", &[STRING], STRING, shuffle),
];

fn derive(ctx: &mut Ctx<'_>, function: &str, arguments: &str) -> Result<Derived> {
    Ok(context::of(ctx)?.derive(function, arguments))
}

/// Characters of a class, all equally likely. A negative number gives nothing.
fn characters(ctx: &mut Ctx<'_>, function: &str, count: i64, class: fn(&u8) -> bool) -> Result {
    let Ok(count) = usize::try_from(count) else {
        return give("");
    };
    ctx.charge_values(count as u64)?;
    ctx.charge_steps(count as u64)?;
    let mut derived = derive(ctx, function, &count.to_string())?;
    let letters: Vec<u8> = (0..=0x7f).filter(class).collect();
    let letter = |derived: &mut Derived| {
        let index = usize::try_from(derived.below(letters.len() as u64)).unwrap_or(0);
        letters[index]
    };
    give(
        (0..count)
            .map(|_| letter(&mut derived))
            .collect::<Vec<u8>>(),
    )
}

fn rand_int(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let (from, to) = (int(args, 0), int(args, 1));
    let Some(width) = to.checked_sub(from).filter(|width| *width > 0) else {
        return Err("invalid argument to Intn".into());
    };
    let mut derived = derive(ctx, "randInt", &format!("{from} {to}"))?;
    Ok(Value::int(
        from + derived.below(width.unsigned_abs()).cast_signed(),
    ))
}

fn rand_bytes(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let Ok(count) = usize::try_from(int(args, 0)) else {
        return Err("runtime error: makeslice: len out of range".into());
    };
    ctx.charge_values((count as u64).saturating_mul(3))?;
    ctx.charge_steps(count as u64)?;
    let mut bytes = vec![0; count];
    derive(ctx, "randBytes", &count.to_string())?.fill(&mut bytes);
    give(STANDARD.encode(bytes))
}

fn uuid(ctx: &mut Ctx<'_>, _: &[Value]) -> Result {
    let mut bytes = [0; 16];
    derive(ctx, "uuidv4", "")?.fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    give(format!(
        "{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    ))
}

fn shuffle(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let text = text(args, 0);
    let mut derived = derive(ctx, "shuffle", &text)?;
    let mut runes: Vec<char> = text.chars().collect();
    for index in (1..runes.len()).rev() {
        let other = usize::try_from(derived.below(index as u64 + 1)).unwrap_or(0);
        runes.swap(index, other);
    }
    give(runes.into_iter().collect::<String>())
}
