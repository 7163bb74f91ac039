//! Values of every kind under every verb.

use super::Printer;
use super::scalar::IntFormat;
use crate::strconv::{FloatFormat, push_rune};
use crate::value::{FloatKind, Kind, List, Map, Object, Type, Value};

/// Printed for every address: Go's differ from run to run, and a render must not.
const ADDRESS: u64 = 0x00c0_0000_0000;

impl Printer {
    /// An operand, at the top.
    pub(super) fn print_arg(&mut self, arg: &Value, verb: char) {
        match (arg, verb) {
            (Value::Nil, 'T' | 'v') => self.pad(b"<nil>"),
            (_, 'T') => {
                let name = arg.type_name();
                self.format_string(name.as_bytes());
            }
            (Value::Nil, _) => self.bad_verb(arg, verb),
            (_, 'p') => self.pointer(arg, verb),
            (Value::List(_) | Value::Map(_) | Value::Object(_) | Value::Func(_), 'w') => {
                self.bad_verb(arg, verb);
            }
            _ => self.print_value(arg, verb, true),
        }
    }

    /// A value; `top` where it is an operand, and not part of one.
    fn print_value(&mut self, value: &Value, verb: char, top: bool) {
        match value {
            Value::Nil if self.flags.sharp_v => self.write_str("interface {}(nil)"),
            Value::Nil => self.write_str("<nil>"),
            Value::Bool(yes) => match verb {
                't' | 'v' => self.pad(if *yes { b"true" } else { b"false" }),
                _ => self.bad_verb(value, verb),
            },
            Value::Int(_, number) => self.integer(value, number.unsigned_abs(), *number < 0, verb),
            Value::Uint(_, number) if verb == 'v' && self.flags.sharp_v => {
                self.format_hex(*number, true)
            }
            Value::Uint(_, number) => self.integer(value, *number, false, verb),
            Value::Float(kind, number) => {
                self.float(value, *number, *kind == FloatKind::Float32, verb)
            }
            Value::Complex(number) => self.complex(value, number.0, number.1, verb),
            Value::String(text) => self.string(value, text.as_bytes(), verb),
            Value::Bytes(bytes) => self.bytes(value, bytes.as_bytes(), verb, top),
            Value::List(list) => self.list(list, verb),
            Value::Map(map) => self.map(map, verb),
            Value::Object(object) => self.object(value, &**object, verb, top),
            Value::Func(_) => self.pointer(value, verb),
        }
    }

    /// A part of a value.
    fn print_part(&mut self, value: &Value, verb: char) {
        if value.is_container() || matches!(value, Value::Object(_)) {
            self.deeper(|printer| printer.print_value(value, verb, false));
        } else {
            self.print_value(value, verb, false);
        }
    }

    /// `%!d(string=a)`
    fn bad_verb(&mut self, value: &Value, verb: char) {
        let erroring = std::mem::replace(&mut self.erroring, true);
        let mut head = b"%!".to_vec();
        push_rune(&mut head, verb);
        head.push(b'(');
        self.write(&head);
        if matches!(value, Value::Nil) {
            self.write_str("<nil>");
        } else {
            self.write_str(&value.type_name());
            self.write(b"=");
            self.print_value(value, 'v', true);
        }
        self.write(b")");
        self.erroring = erroring;
    }

    fn integer(&mut self, value: &Value, magnitude: u64, negative: bool, verb: char) {
        let (base, upper) = match verb {
            'v' | 'd' => (10, false),
            'b' => (2, false),
            'o' | 'O' => (8, false),
            'x' => (16, false),
            'X' => (16, true),
            'c' | 'q' | 'U' => {
                // A negative number is a large one to these.
                let number = if negative {
                    magnitude.wrapping_neg()
                } else {
                    magnitude
                };
                return match verb {
                    'c' => self.format_char(number),
                    'q' => self.format_quoted_char(number),
                    _ => self.format_unicode(number),
                };
            }
            _ => return self.bad_verb(value, verb),
        };
        self.format_int(
            magnitude,
            negative,
            IntFormat {
                base,
                upper,
                octal_prefix: verb == 'O',
            },
        );
    }

    fn float(&mut self, value: &Value, number: f64, single: bool, verb: char) {
        if !self.float_part(number, single, verb) {
            self.bad_verb(value, verb);
        }
    }

    /// False if the verb is none for floats.
    fn float_part(&mut self, number: f64, single: bool, verb: char) -> bool {
        let (format, precision, shown) = match verb {
            'v' => (FloatFormat::General { upper: false }, None, 'g'),
            'g' | 'G' => (FloatFormat::General { upper: verb == 'G' }, None, verb),
            'b' => (FloatFormat::Binary, None, verb),
            'x' | 'X' => (FloatFormat::Hex { upper: verb == 'X' }, None, verb),
            'f' | 'F' => (FloatFormat::Fixed, Some(6), 'f'),
            'e' | 'E' => (FloatFormat::Exponent { upper: verb == 'E' }, Some(6), verb),
            _ => return false,
        };
        self.format_float(number, single, format, precision, shown);
        true
    }

    fn complex(&mut self, value: &Value, real: f64, imaginary: f64, verb: char) {
        if !matches!(
            verb,
            'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E'
        ) {
            return self.bad_verb(value, verb);
        }
        self.write(b"(");
        self.float_part(real, false, verb);
        let plus = std::mem::replace(&mut self.flags.plus, true);
        self.float_part(imaginary, false, verb);
        self.flags.plus = plus;
        self.write(b"i)");
    }

    fn string(&mut self, value: &Value, text: &[u8], verb: char) {
        match verb {
            'v' if self.flags.sharp_v => self.format_quoted(text),
            'v' | 's' => self.format_string(text),
            'x' => self.format_hex_bytes(text, false),
            'X' => self.format_hex_bytes(text, true),
            'q' => self.format_quoted(text),
            _ => self.bad_verb(value, verb),
        }
    }

    fn bytes(&mut self, value: &Value, bytes: &[u8], verb: char, top: bool) {
        match verb {
            's' => self.format_string(bytes),
            'x' | 'X' => self.format_hex_bytes(bytes, verb == 'X'),
            'q' => self.format_quoted(bytes),
            'v' | 'd' if self.flags.sharp_v => {
                // An operand is written as []byte, a part of one by its type's name.
                let name = if top {
                    "[]byte".to_owned()
                } else {
                    value.type_name()
                };
                self.write_str(&name);
                self.write(b"{");
                self.separated(bytes.len(), |printer, index| {
                    printer.format_hex(bytes[index].into(), true)
                });
                self.write(b"}");
            }
            _ => {
                if self.flags.sharp_v {
                    self.write_str(&value.type_name());
                }
                self.write(if self.flags.sharp_v { b"{" } else { b"[" });
                self.separated(bytes.len(), |printer, index| {
                    printer.print_value(&byte_value(bytes[index]), verb, false);
                });
                self.write(if self.flags.sharp_v { b"}" } else { b"]" });
            }
        }
    }

    /// Parts with a space between, or `, ` in Go syntax.
    fn separated(&mut self, count: usize, mut part: impl FnMut(&mut Self, usize)) {
        for index in 0..count {
            if self.error.is_some() {
                return;
            }
            if index > 0 {
                self.write(if self.flags.sharp_v { b", " } else { b" " });
            }
            part(self, index);
        }
    }

    fn list(&mut self, list: &List, verb: char) {
        if self.flags.sharp_v {
            self.write_str(&list.ty().to_string());
            if list.is_nil() {
                return self.write_str("(nil)");
            }
        }
        self.write(if self.flags.sharp_v { b"{" } else { b"[" });
        self.separated(list.len(), |printer, index| {
            printer.print_part(&list.items()[index], verb)
        });
        self.write(if self.flags.sharp_v { b"}" } else { b"]" });
    }

    fn map(&mut self, map: &Map, verb: char) {
        if self.flags.sharp_v {
            self.write_str(&map.ty().to_string());
            if map.is_nil() {
                return self.write_str("(nil)");
            }
            self.write(b"{");
        } else {
            self.write_str("map[");
        }
        let entries = map.entries();
        self.separated(entries.len(), |printer, index| {
            let (key, value) = &entries[index];
            printer.print_value(&Value::String(key.clone()), verb, false);
            printer.write(b":");
            printer.print_part(value, verb);
        });
        self.write(if self.flags.sharp_v { b"}" } else { b"]" });
    }

    fn object(&mut self, value: &Value, object: &dyn Object, verb: char, top: bool) {
        if !self.erroring
            && !self.flags.sharp_v
            && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
            && let Some(text) = object.text()
        {
            return self.string(value, text.as_bytes(), verb);
        }
        if let Some(Value::Int(_, number)) = object.underlying() {
            return self.integer(value, number.unsigned_abs(), number < 0, verb);
        }
        let mut name = object.type_name();
        if value.kind() == Kind::Ptr {
            if !top {
                return self.pointer(value, verb);
            }
            self.write(b"&");
            name = name.trim_start_matches('*');
        }
        if self.flags.sharp_v {
            self.write_str(name);
        }
        self.write(b"{");
        let fields = object.printed();
        self.separated(fields.len(), |printer, index| {
            let (name, value) = &fields[index];
            if printer.flags.plus_v || printer.flags.sharp_v {
                printer.write_str(name);
                printer.write(b":");
            }
            printer.print_part(value, verb);
        });
        self.write(b"}");
    }

    fn pointer(&mut self, value: &Value, verb: char) {
        let nil = value.is_nil();
        if !matches!(
            value.kind(),
            Kind::Slice | Kind::Map | Kind::Ptr | Kind::Func
        ) {
            return self.bad_verb(value, verb);
        }
        let address = if nil { 0 } else { ADDRESS };
        match verb {
            'v' if self.flags.sharp_v => {
                let name = value
                    .ty()
                    .map_or_else(String::new, |ty: Type| ty.to_string());
                self.write_str(&format!("({name})("));
                if nil {
                    self.write_str("nil");
                } else {
                    self.format_hex(address, true);
                }
                self.write(b")");
            }
            'v' if nil => self.pad(b"<nil>"),
            'v' | 'p' => {
                let prefix = !self.flags.sharp;
                self.format_hex(address, prefix);
            }
            'b' | 'o' | 'd' | 'x' | 'X' => self.integer(value, address, false, verb),
            _ => self.bad_verb(value, verb),
        }
    }
}

fn byte_value(byte: u8) -> Value {
    Value::Uint(crate::value::UintKind::Uint8, byte.into())
}
