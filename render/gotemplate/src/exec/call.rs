//! Calls of functions and methods: the number of arguments, their types, and what the function makes of them.

use smallvec::SmallVec;

use super::Slot;
use super::state::{At, Result, State};
use crate::builtins::{self, Builtin};
use crate::parse::ast::Expr;
use crate::value::{Body, FuncError, Function, NativeFn, Type, Value};

/// Arguments that need no allocation; most calls have three or fewer.
type Args = SmallVec<[Slot; 4]>;

impl<'t> State<'_, '_, 't> {
    /// Calls a function, or a method of `receiver`. `node` is where an error of the function itself is reported.
    pub(super) fn call(
        &mut self,
        dot: &Slot,
        function: &Function,
        receiver: Option<Value>,
        node: At<'t>,
        args: &'t [Expr],
        last: Option<Slot>,
    ) -> Result<Slot> {
        self.step()?;
        self.check_count(function, args.len(), last.is_some())?;
        if let Body::Builtin(builtin @ (Builtin::And | Builtin::Or)) = function.body {
            return self.and_or(dot, builtin == Builtin::Or, args, last);
        }
        let mut values = Args::new();
        for (index, arg) in args.iter().enumerate() {
            let ty = function.param(index).unwrap_or(Type::Any);
            values.push(self.arg(dot, ty, arg)?);
        }
        let callee = match (args.first(), &last) {
            (Some(first), _) => Callee::Written(first),
            (None, Some(last)) => Callee::Piped(last.value.clone()),
            (None, None) => Callee::None,
        };
        if let Some(last) = last {
            let ty = function.param(values.len()).unwrap_or(Type::Any);
            values.push(self.validate(last, ty)?);
        }
        for slot in &mut values {
            if let Value::Object(object) = &slot.value
                && let Some(copy) = object.copied()
            {
                slot.value = copy;
            }
        }
        let result = match function.body {
            Body::Native(native) => self.call_native(native, function.result, receiver, values),
            Body::Builtin(Builtin::Call) => self.call_value(&callee, &values),
            Body::Builtin(builtin) => builtins::call(builtin, self.ctx, &values),
        };
        result.map_err(|error| {
            self.at = node;
            self.call_error(function.name, &error)
        })
    }

    fn check_count(&self, function: &Function, written: usize, piped: bool) -> Result<()> {
        let given = written + usize::from(piped);
        let name = function.name;
        if function.variadic {
            let fixed = function.fixed();
            if given < fixed {
                return Err(self.error(format_args!(
                    "wrong number of args for {name}: want at least {fixed} got {written}"
                )));
            }
        } else if given != function.params.len() {
            let wanted = function.params.len();
            return Err(self.error(format_args!(
                "wrong number of args for {name}: want {wanted} got {given}"
            )));
        }
        Ok(())
    }

    pub(super) fn call_error(&self, name: &str, error: &FuncError) -> Box<super::ExecError> {
        let mut exec = self.error(format_args!("error calling {name}: {error}"));
        exec.cause = error.cause();
        exec
    }

    /// `and` and `or` evaluate their arguments only until the result is known.
    fn and_or(
        &mut self,
        dot: &Slot,
        or: bool,
        args: &'t [Expr],
        last: Option<Slot>,
    ) -> Result<Slot> {
        let mut value = Slot::INVALID;
        for arg in args {
            value = self.arg(dot, Type::Reflect, arg)?;
            if value.value.truth() == or {
                return Ok(value);
            }
        }
        match last {
            Some(last) => self.validate(last, Type::Reflect),
            None => Ok(value),
        }
    }

    fn call_native(
        &mut self,
        native: NativeFn,
        result: Type,
        receiver: Option<Value>,
        values: Args,
    ) -> Result<Slot, FuncError> {
        let mut plain: SmallVec<[Value; 5]> = SmallVec::new();
        plain.extend(receiver);
        plain.extend(values.into_iter().map(|slot| slot.value));
        let value = native(self.ctx, &plain)?;
        self.ctx.charge_result(&value)?;
        Ok(Slot::typed(value, result))
    }

    /// The function `call`: calls a value.
    fn call_value(&mut self, callee: &Callee<'_>, values: &[Slot]) -> Result<Slot, FuncError> {
        let name = callee.name();
        let (first, rest) = values.split_first().ok_or("call of nil")?;
        let function = match &first.value {
            Value::Func(function) => function,
            Value::Nil => return Err("call of nil".into()),
            other => {
                return Err(format!("non-function {name} of type {}", other.type_name()).into());
            }
        };
        let wanted = function.params.len();
        let got = rest.len();
        if function.variadic && got < function.fixed() {
            return Err(format!(
                "wrong number of args for {name}: got {got} want at least {}",
                function.fixed()
            )
            .into());
        }
        if !function.variadic && got != wanted {
            return Err(format!("wrong number of args for {name}: got {got} want {wanted}").into());
        }
        let mut args = Args::new();
        for (index, slot) in rest.iter().enumerate() {
            let ty = function.param(index).unwrap_or(Type::Any);
            let prepared = prepare(slot, ty)
                .map_err(|message| FuncError::Message(format!("arg {index}: {message}")))?;
            args.push(Slot::typed(prepared, ty));
        }
        match function.body {
            Body::Native(native) => self.call_native(native, function.result, None, args),
            Body::Builtin(builtin) => builtins::call(builtin, self.ctx, &args),
        }
    }
}

/// What `call` calls, for its messages.
enum Callee<'t> {
    Written(&'t Expr),
    Piped(Value),
    None,
}

impl Callee<'_> {
    fn name(&self) -> String {
        match self {
            Self::Written(expr) => {
                let mut shown = Vec::new();
                expr.write(&mut shown);
                String::from_utf8_lossy(&shown).into_owned()
            }
            // What reflect.Value.String gives.
            Self::Piped(Value::String(text)) => text.to_string(),
            Self::Piped(Value::Nil) => "<invalid Value>".to_owned(),
            Self::Piped(value) => format!("<{} Value>", value.type_name()),
            Self::None => String::new(),
        }
    }
}

/// A value as an argument of a type; integers are converted among each other.
pub(crate) fn prepare(slot: &Slot, ty: Type) -> std::result::Result<Value, String> {
    let Some(own) = slot.value.ty() else {
        if ty.can_be_nil() {
            return Ok(Value::zero(ty));
        }
        return Err(format!("value is nil; should be of type {ty}"));
    };
    if own.assignable_to(ty) || ty == Type::Reflect {
        return Ok(slot.value.clone());
    }
    match (&slot.value, ty) {
        (Value::Int(_, number), Type::Int(kind)) => Ok(Value::Int(kind, *number)),
        (Value::Int(_, number), Type::Uint(kind)) => Ok(Value::Uint(kind, number.cast_unsigned())),
        (Value::Uint(_, number), Type::Int(kind)) => Ok(Value::Int(kind, number.cast_signed())),
        (Value::Uint(_, number), Type::Uint(kind)) => Ok(Value::Uint(kind, *number)),
        _ => Err(format!("value has type {own}; should be {ty}")),
    }
}
