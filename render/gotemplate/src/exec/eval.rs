//! Pipelines, commands and arguments.

use super::Slot;
use super::state::{At, Result, State};
use crate::parse::NumberLiteral;
use crate::parse::ast::{Command, Expr, Pipe};
use crate::strconv::quote;
use crate::value::{FloatKind, Type, Value};

impl<'t> State<'_, '_, 't> {
    /// The value of a pipeline; sets the variables that it declares. What comes out is never seen through an interface.
    pub(super) fn pipeline(&mut self, dot: &Slot, pipe: &'t Pipe) -> Result<Slot> {
        self.at = At::Pipe(pipe);
        let mut value = None;
        for command in &pipe.cmds {
            value = Some(self.command(dot, command, value)?.decay());
        }
        let value = value.unwrap_or(Slot::INVALID);
        for var in &pipe.decl {
            if pipe.assign {
                self.set_var(var, value.clone())?;
            } else {
                self.vars.push((var.symbol, value.clone()));
            }
        }
        Ok(value)
    }

    /// `last` is the value of the command before, which becomes the last argument.
    fn command(&mut self, dot: &Slot, command: &'t Command, last: Option<Slot>) -> Result<Slot> {
        let first = &command.args[0];
        let args = &command.args[1..];
        match first {
            Expr::Field { names, .. } => {
                self.at = At::Expr(first);
                self.field_chain(dot, dot.clone(), first, names, args, last)
            }
            Expr::Chain { node, names, .. } => self.chain(dot, first, node, names, args, last),
            Expr::Function { function, .. } => {
                self.at = At::Expr(first);
                self.call(dot, function, None, At::Command(command), args, last)
            }
            Expr::Pipe(pipe) => {
                self.refuse_args(first, args, last.as_ref())?;
                crate::stack::with_stack(|| self.pipeline(dot, pipe))
            }
            Expr::Variable { .. } => self.variable(dot, first, args, last),
            _ => {
                self.at = At::Expr(first);
                self.refuse_args(first, args, last.as_ref())?;
                self.literal_command(dot, first)
            }
        }
    }

    fn literal_command(&mut self, dot: &Slot, expr: &'t Expr) -> Result<Slot> {
        match expr {
            Expr::Bool { value, .. } => Ok(Slot::concrete(Value::Bool(*value))),
            Expr::Dot { .. } => Ok(dot.clone()),
            Expr::Number { number, .. } => self.ideal_constant(expr, number),
            Expr::String { text, .. } => Ok(Slot::concrete(Value::String(text.clone()))),
            _ => Err(self.error("nil is not a command")),
        }
    }

    fn refuse_args(&self, first: &Expr, args: &[Expr], last: Option<&Slot>) -> Result<()> {
        if args.is_empty() && last.is_none() {
            return Ok(());
        }
        let mut shown = Vec::new();
        first.write(&mut shown);
        Err(self.error(format_args!(
            "can't give argument to non-function {}",
            String::from_utf8_lossy(&shown)
        )))
    }

    /// A number where its type is not asked for: the way it is written decides.
    fn ideal_constant(&mut self, expr: &'t Expr, number: &NumberLiteral) -> Result<Slot> {
        self.at = At::Expr(expr);
        let text = number.text.to_str();
        if let Some(complex) = number.complex {
            return Ok(Slot::concrete(Value::Complex(complex.into())));
        }
        let hex_int = text.starts_with("0x") || text.starts_with("0X");
        let hex_int = hex_int && text.len() > 2 && !text.contains(['p', 'P']);
        if let Some(float) = number.float
            && !hex_int
            && !text.starts_with('\'')
            && text.contains(['.', 'e', 'E', 'p', 'P'])
        {
            return Ok(Slot::concrete(Value::Float(FloatKind::Float64, float)));
        }
        match number.int {
            Some(int) => Ok(Slot::concrete(Value::int(int))),
            None => Err(self.error(format_args!("{text} overflows int"))),
        }
    }

    pub(super) fn chain(
        &mut self,
        dot: &Slot,
        expr: &'t Expr,
        node: &'t Expr,
        names: &'t [crate::value::Str],
        args: &'t [Expr],
        last: Option<Slot>,
    ) -> Result<Slot> {
        self.at = At::Expr(expr);
        let receiver = match node {
            Expr::Pipe(pipe) => crate::stack::with_stack(|| self.pipeline(dot, pipe))?,
            Expr::Function { function, .. } => {
                self.at = At::Expr(node);
                self.call(dot, function, None, At::Expr(node), &[], None)?
            }
            Expr::Nil { .. } => {
                let mut shown = Vec::new();
                expr.write(&mut shown);
                return Err(self.error(format_args!(
                    "indirection through explicit nil in {}",
                    String::from_utf8_lossy(&shown)
                )));
            }
            other => self.arg(dot, Type::Any, other)?,
        };
        self.field_chain(dot, receiver, expr, names, args, last)
    }

    pub(super) fn variable(
        &mut self,
        dot: &Slot,
        expr: &'t Expr,
        args: &'t [Expr],
        last: Option<Slot>,
    ) -> Result<Slot> {
        self.at = At::Expr(expr);
        let Expr::Variable { var, names, .. } = expr else {
            return Ok(Slot::INVALID);
        };
        let found = self
            .vars
            .iter()
            .rev()
            .find(|(symbol, _)| *symbol == var.symbol)
            .map(|(_, slot)| slot.clone());
        let Some(value) = found else {
            return Err(self.error(format_args!("undefined variable: {}", var.name)));
        };
        if names.is_empty() {
            if args.is_empty() && last.is_none() {
                return Ok(value);
            }
            self.refuse_args(expr, args, last.as_ref())?;
        }
        self.field_chain(dot, value, expr, names, args, last)
    }

    /// An argument for a parameter of a type.
    pub(super) fn arg(&mut self, dot: &Slot, ty: Type, expr: &'t Expr) -> Result<Slot> {
        self.at = At::Expr(expr);
        let value = match expr {
            Expr::Dot { .. } => dot.clone(),
            Expr::Nil { .. } if ty.can_be_nil() => return Ok(Slot::typed(Value::zero(ty), ty)),
            Expr::Nil { .. } => return Err(self.error(format_args!("cannot assign nil to {ty}"))),
            Expr::Field { names, .. } => {
                self.field_chain(dot, dot.clone(), expr, names, &[], None)?
            }
            Expr::Variable { .. } => self.variable(dot, expr, &[], None)?,
            Expr::Pipe(pipe) => crate::stack::with_stack(|| self.pipeline(dot, pipe))?,
            Expr::Function { function, .. } => {
                self.call(dot, function, None, At::Expr(expr), &[], None)?
            }
            Expr::Chain { node, names, .. } => self.chain(dot, expr, node, names, &[], None)?,
            Expr::Bool { .. } | Expr::Number { .. } | Expr::String { .. } => {
                return self.literal(ty, expr);
            }
        };
        self.validate(value, ty)
    }

    /// A literal as a value of a type.
    fn literal(&mut self, ty: Type, expr: &'t Expr) -> Result<Slot> {
        let value = match (ty.underlying(), expr) {
            (Type::Any | Type::Reflect, Expr::Bool { value, .. })
            | (Type::Bool, Expr::Bool { value, .. }) => Value::Bool(*value),
            (Type::Any | Type::Reflect, Expr::Number { number, .. }) => {
                self.ideal_constant(expr, number)?.value
            }
            (Type::Any | Type::Reflect, Expr::String { text, .. })
            | (Type::String, Expr::String { text, .. }) => Value::String(text.clone()),
            (wanted, expr) => match typed_number(wanted, expr) {
                Some(value) => value,
                None => return Err(self.wrong_literal(ty, expr)),
            },
        };
        Ok(Slot::concrete(value))
    }

    fn wrong_literal(&self, ty: Type, expr: &Expr) -> Box<super::ExecError> {
        let mut shown = Vec::new();
        expr.write(&mut shown);
        let shown = String::from_utf8_lossy(&shown);
        let wanted = match ty.underlying() {
            Type::Bool => "bool",
            Type::String => "string",
            Type::Int(_) => "integer",
            Type::Uint(_) => "unsigned integer",
            Type::Float(_) => "float",
            Type::Complex => "complex",
            _ => return self.error(format_args!("can't handle {shown} for arg of type {ty}")),
        };
        self.error(format_args!("expected {wanted}; found {shown}"))
    }

    /// Checks that a value can be given to a parameter of a type.
    pub(super) fn validate(&self, value: Slot, ty: Type) -> Result<Slot> {
        if !value.is_valid() {
            if ty.can_be_nil() {
                return Ok(Slot {
                    value: Value::zero(ty),
                    interface: ty == Type::Any,
                });
            }
            return Err(self.error(format_args!("invalid value; expected {ty}")));
        }
        if ty == Type::Reflect {
            return Ok(value);
        }
        let own = value.ty().unwrap_or(Type::Any);
        if own.assignable_to(ty) {
            return Ok(convert(value, ty));
        }
        if value.interface
            && let Some(inner) = value.value.ty()
            && inner.assignable_to(ty)
        {
            return Ok(convert(value.decay(), ty));
        }
        // An interface that holds the wrong type is named by what it holds, an empty one by itself.
        let shown = value.value.ty().unwrap_or(own);
        Err(self.error(format_args!(
            "wrong type for value; expected {ty}; got {shown}"
        )))
    }

    /// `"NAME"` in messages.
    pub(super) fn quoted(name: &[u8]) -> String {
        String::from_utf8_lossy(&quote(name)).into_owned()
    }
}

/// A value as the parameter's type sees it: a defined map type loses its name.
fn convert(value: Slot, ty: Type) -> Slot {
    let interface = ty == Type::Any;
    let value = match (value.value, ty) {
        (Value::Map(map), Type::Map(_)) => Value::Map(map.unnamed()),
        (Value::Map(map), Type::Named(name)) => Value::Map(map.named(name)),
        (Value::List(list), Type::Slice(_) | Type::Named(_)) if list.ty() != ty => {
            Value::List(list.converted(ty))
        }
        (value, _) => value,
    };
    Slot { value, interface }
}

fn typed_number(ty: Type, expr: &Expr) -> Option<Value> {
    let Expr::Number { number, .. } = expr else {
        return None;
    };
    match ty {
        Type::Int(kind) => number.int.map(|int| Value::Int(kind, int)),
        Type::Uint(kind) => number.uint.map(|uint| Value::Uint(kind, uint)),
        Type::Float(kind) => number.float.map(|float| Value::Float(kind, float)),
        Type::Complex => number.complex.map(|complex| Value::Complex(complex.into())),
        _ => None,
    }
}
