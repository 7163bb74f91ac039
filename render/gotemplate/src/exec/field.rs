//! `.Field.Chains`: map keys, struct fields and methods.

use super::state::{At, Result, State};
use super::{MissingKey, Slot};
use crate::parse::ast::Expr;
use crate::value::{Map, Str, Value};

impl<'t> State<'_, '_, 't> {
    /// `receiver.A.B.C args…`: only the last name can be a method with arguments.
    pub(super) fn field_chain(
        &mut self,
        dot: &Slot,
        mut receiver: Slot,
        expr: &'t Expr,
        names: &'t [Str],
        args: &'t [Expr],
        last: Option<Slot>,
    ) -> Result<Slot> {
        let Some((final_name, before)) = names.split_last() else {
            return Ok(receiver);
        };
        for name in before {
            receiver = self.field(dot, name, expr, &[], None, receiver)?;
        }
        self.field(dot, final_name, expr, args, last, receiver)
    }

    fn field(
        &mut self,
        dot: &Slot,
        name: &Str,
        expr: &'t Expr,
        args: &'t [Expr],
        last: Option<Slot>,
        receiver: Slot,
    ) -> Result<Slot> {
        if !receiver.is_valid() {
            if self.ctx.set.missing_key() == MissingKey::Error {
                return Err(self.error(format_args!(
                    "nil data; no entry for key {}",
                    Self::quoted(name.as_bytes())
                )));
            }
            return Ok(Slot::INVALID);
        }
        if receiver.is_nil_interface() {
            return Err(self.error(format_args!("nil pointer evaluating interface {{}}.{name}")));
        }
        if let Some(method) = receiver.value.method(&name.to_str()) {
            return self.call(
                dot,
                &method.function,
                Some(receiver.value.clone()),
                At::Expr(expr),
                args,
                last,
            );
        }
        let has_args = !args.is_empty() || last.is_some();
        match &receiver.value {
            Value::Object(object) => {
                if let Some(value) = object.field(&name.to_str()) {
                    if has_args {
                        return Err(self.error(format_args!(
                            "{name} has arguments but cannot be invoked as function"
                        )));
                    }
                    return Ok(Slot::concrete(value));
                }
            }
            Value::Map(map) => {
                if has_args {
                    return Err(
                        self.error(format_args!("{name} is not a method but has arguments"))
                    );
                }
                return self.key(map, name);
            }
            _ => {}
        }
        let ty = receiver.ty().map_or_else(String::new, |ty| ty.to_string());
        Err(self.error(format_args!("can't evaluate field {name} in type {ty}")))
    }

    fn key(&mut self, map: &Map, name: &Str) -> Result<Slot> {
        let elem = map.elem();
        if let Some(value) = map.get(name) {
            return Ok(Slot::typed(value, elem));
        }
        match self.ctx.set.missing_key() {
            MissingKey::Invalid => Ok(Slot::INVALID),
            MissingKey::Zero => Ok(Slot::typed(Value::zero(elem), elem)),
            MissingKey::Error => Err(self.error(format_args!(
                "map has no entry for key {}",
                Self::quoted(name.as_bytes())
            ))),
        }
    }
}
