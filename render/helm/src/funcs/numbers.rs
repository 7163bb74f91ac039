//! Numbers: integer arithmetic, decimals, rounding, ranges.

use std::cmp::Ordering;

use capstan_gotemplate::strconv::parse_int;
use capstan_gotemplate::{Ctx, Function, List, Type, Value};

use super::decimal::Decimal;
use super::value::{Result, any, give, int, text, to_float64, to_int64};

const ANY: &[Type] = &[Type::Any];
const ANY_2: &[Type] = &[Type::Any, Type::Any];
const INTS: Type = Type::Slice(&Type::INT);
const FLOAT: Type = Type::FLOAT64;
const INT64: Type = Type::INT64;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("atoi", &[Type::String], Type::INT, atoi),
    Function::new("int64", ANY, INT64, |_, args| {
        Ok(Value::int64(to_int64(any(args, 0))))
    }),
    Function::new("int", ANY, Type::INT, |_, args| {
        Ok(Value::int(to_int64(any(args, 0))))
    }),
    Function::new("float64", ANY, FLOAT, |_, args| {
        Ok(Value::float64(to_float64(any(args, 0))))
    }),
    Function::new("toDecimal", ANY, INT64, to_decimal),
    Function::new("add1", ANY, INT64, |_, args| {
        Ok(Value::int64(to_int64(any(args, 0)).wrapping_add(1)))
    }),
    Function::variadic("add", ANY, INT64, |_, args| {
        Ok(Value::int64(
            args.iter().map(to_int64).fold(0, i64::wrapping_add),
        ))
    }),
    Function::new("sub", ANY_2, INT64, |_, args| {
        Ok(Value::int64(
            to_int64(any(args, 0)).wrapping_sub(to_int64(any(args, 1))),
        ))
    }),
    Function::new("div", ANY_2, INT64, |_, args| {
        divide(args, i64::wrapping_div)
    }),
    Function::new("mod", ANY_2, INT64, |_, args| {
        divide(args, i64::wrapping_rem)
    }),
    Function::variadic("mul", ANY_2, INT64, |_, args| {
        Ok(Value::int64(
            args.iter().map(to_int64).fold(1, i64::wrapping_mul),
        ))
    }),
    Function::variadic("max", ANY_2, INT64, |_, args| {
        Ok(Value::int64(args.iter().map(to_int64).max().unwrap_or(0)))
    }),
    Function::variadic("biggest", ANY_2, INT64, |_, args| {
        Ok(Value::int64(args.iter().map(to_int64).max().unwrap_or(0)))
    }),
    Function::variadic("min", ANY_2, INT64, |_, args| {
        Ok(Value::int64(args.iter().map(to_int64).min().unwrap_or(0)))
    }),
    Function::variadic("maxf", ANY_2, FLOAT, |_, args| {
        Ok(extreme(args, Ordering::Greater))
    }),
    Function::variadic("minf", ANY_2, FLOAT, |_, args| {
        Ok(extreme(args, Ordering::Less))
    }),
    Function::new("add1f", ANY, FLOAT, |_, args| {
        decimals(any(args, 0), &[Value::int(1)], |a, b| Ok(a.add(b)))
    }),
    Function::variadic("addf", ANY, FLOAT, |_, args| {
        decimals(&Value::float64(0.0), args, |a, b| Ok(a.add(b)))
    }),
    Function::variadic("subf", ANY_2, FLOAT, |_, args| {
        decimals(any(args, 0), &args[1..], |a, b| Ok(a.sub(b)))
    }),
    Function::variadic("mulf", ANY_2, FLOAT, |_, args| {
        decimals(any(args, 0), &args[1..], |a, b| Ok(a.mul(b)))
    }),
    Function::variadic("divf", ANY_2, FLOAT, |_, args| {
        decimals(any(args, 0), &args[1..], divide_decimals)
    }),
    Function::new("ceil", ANY, FLOAT, |_, args| {
        Ok(Value::float64(to_float64(any(args, 0)).ceil()))
    }),
    Function::new("floor", ANY, FLOAT, |_, args| {
        Ok(Value::float64(to_float64(any(args, 0)).floor()))
    }),
    Function::variadic("round", &[Type::Any, Type::INT, FLOAT], FLOAT, round),
    Function::new("until", &[Type::INT], INTS, until),
    Function::new(
        "untilStep",
        &[Type::INT, Type::INT, Type::INT],
        INTS,
        until_step,
    ),
    Function::variadic("seq", &[Type::INT], Type::String, seq),
];

fn atoi(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    use capstan_gotemplate::strconv::NumError;
    let text = text(args, 0);
    // Out of range, Go's Atoi gives the nearest number beside the error, which is dropped.
    Ok(Value::int(match parse_int(&text, 10) {
        Ok(number) => number,
        Err(NumError::Range) if text.starts_with('-') => i64::MIN,
        Err(NumError::Range) => i64::MAX,
        Err(NumError::Syntax) => 0,
    }))
}

/// Unix permissions: the text read as octal.
fn to_decimal(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let text = ctx.sprint(&args[..1])?;
    Ok(Value::int64(parse_int(&text.to_str(), 8).unwrap_or(0)))
}

fn divide(args: &[Value], operation: fn(i64, i64) -> i64) -> Result {
    match to_int64(any(args, 1)) {
        0 => Err("runtime error: integer divide by zero".into()),
        divisor => Ok(Value::int64(operation(to_int64(any(args, 0)), divisor))),
    }
}

/// `math.Max` and `math.Min`, to which NaN is the extreme, and -0 is below 0.
fn extreme(args: &[Value], wanted: Ordering) -> Value {
    let pick = |a: f64, b: f64| {
        if a.is_nan() || b.is_nan() {
            f64::NAN
        } else if b.total_cmp(&a) == wanted {
            b
        } else {
            a
        }
    };
    Value::float64(args.iter().map(to_float64).reduce(pick).unwrap_or(0.0))
}

fn decimals(
    first: &Value,
    rest: &[Value],
    operation: impl Fn(&Decimal, &Decimal) -> Result<Decimal>,
) -> Result {
    let mut result = Decimal::from_float(to_float64(first))?;
    for value in rest {
        result = operation(&result, &Decimal::from_float(to_float64(value))?)?;
    }
    Ok(Value::float64(result.to_float()))
}

fn divide_decimals(left: &Decimal, right: &Decimal) -> Result<Decimal> {
    left.div(right)
        .ok_or_else(|| "decimal division by 0".into())
}

fn round(_: &mut Ctx<'_>, args: &[Value]) -> Result {
    let round_on = args.get(2).map_or(0.5, to_float64);
    let power = power_of_ten(int(args, 1));
    let digit = power * to_float64(any(args, 0));
    let rounded = if digit.fract() >= round_on {
        digit.ceil()
    } else {
        digit.floor()
    };
    Ok(Value::float64(rounded / power))
}

/// `math.Pow(10, places)`
fn power_of_ten(places: i64) -> f64 {
    let magnitude = i32::try_from(places.unsigned_abs().min(400)).unwrap_or(400);
    let power = 10_f64.powi(magnitude);
    if places < 0 { 1.0 / power } else { power }
}

/// The numbers from `start` to before `stop`.
fn range(ctx: &mut Ctx<'_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>> {
    let (distance, stride, room) = match (stop < start, step) {
        (true, ..0) => (
            start.abs_diff(stop),
            step.unsigned_abs(),
            stop.abs_diff(i64::MIN),
        ),
        (false, 1..) => (
            stop.abs_diff(start),
            step.unsigned_abs(),
            stop.abs_diff(i64::MAX).saturating_add(1),
        ),
        _ => return Ok(Vec::new()),
    };
    let count = distance.div_ceil(stride);
    charge_numbers(ctx, count)?;
    let number = |index: u64| start.wrapping_add(step.wrapping_mul(index.cast_signed()));
    let mut numbers: Vec<i64> = (0..count).map(number).collect();
    // Where the next number does not fit, Go goes on from the other end.
    let behind = count.saturating_mul(stride) - distance;
    if count > 0 && behind >= room {
        let is_before = |number: i64| {
            if step < 0 {
                number > stop
            } else {
                number < stop
            }
        };
        let mut next = number(count);
        while is_before(next) {
            charge_numbers(ctx, 1)?;
            numbers.push(next);
            next = next.wrapping_add(step);
        }
    }
    Ok(numbers)
}

fn charge_numbers(ctx: &mut Ctx<'_>, count: u64) -> Result<()> {
    ctx.charge_steps(count)?;
    ctx.charge_values(count.saturating_mul(size_of::<Value>() as u64))?;
    Ok(())
}

fn ints(numbers: Vec<i64>) -> Value {
    List::typed(INTS, numbers.into_iter().map(Value::int).collect()).into()
}

fn until(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let count = int(args, 0);
    Ok(ints(range(ctx, 0, count, if count < 0 { -1 } else { 1 })?))
}

fn until_step(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    Ok(ints(range(ctx, int(args, 0), int(args, 1), int(args, 2))?))
}

/// As the shell's `seq`: a text.
fn seq(ctx: &mut Ctx<'_>, args: &[Value]) -> Result {
    let (start, step, end) = match args.len() {
        1 => (1, None, int(args, 0)),
        2 => (int(args, 0), None, int(args, 1)),
        3 => (int(args, 0), Some(int(args, 1)), int(args, 2)),
        _ => return give(""),
    };
    let direction = if end < start { -1 } else { 1 };
    if direction < 0 && step.is_some_and(|step| step > 0) {
        return give("");
    }
    let numbers = range(
        ctx,
        start,
        end.wrapping_add(direction),
        step.unwrap_or(direction),
    )?;
    let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
    give(texts.join(" "))
}
