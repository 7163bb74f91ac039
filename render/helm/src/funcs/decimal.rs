//! Exact decimals, for `addf` and its relatives: what `shopspring/decimal` computes.

use num_bigint::{BigInt, Sign};

use super::value::Result;

/// `coefficient × 10^exponent`
#[derive(Debug, Clone)]
pub(super) struct Decimal {
    coefficient: BigInt,
    exponent: i32,
}

/// Digits after the point of a quotient.
const DIVISION_PRECISION: i32 = 16;
/// Digits that a product may have: a template that multiplies more is not after the number.
const MAX_DIGITS_BITS: u64 = 1 << 16;

impl Decimal {
    /// The shortest decimal that is this float.
    pub(super) fn from_float(number: f64) -> Result<Self> {
        if number.is_nan() || number.is_infinite() {
            let shown = if number.is_nan() {
                "NaN"
            } else if number > 0.0 {
                "+Inf"
            } else {
                "-Inf"
            };
            return Err(format!("Cannot create a Decimal from {shown}").into());
        }
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let coefficient = format!("{whole}{fraction}").parse().unwrap_or_default();
        let exponent =
            exponent.parse::<i32>().unwrap_or(0) - i32::try_from(fraction.len()).unwrap_or(0);
        Ok(Self {
            coefficient,
            exponent,
        })
    }

    /// The nearest float.
    pub(super) fn to_float(&self) -> f64 {
        format!("{}e{}", self.coefficient, self.exponent)
            .parse()
            .unwrap_or(f64::NAN)
    }

    fn scaled(&self, exponent: i32) -> BigInt {
        let digits = u32::try_from(self.exponent - exponent).unwrap_or(0);
        &self.coefficient * BigInt::from(10).pow(digits)
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        Self {
            coefficient: self.scaled(exponent) + other.scaled(exponent),
            exponent,
        }
    }

    pub(super) fn sub(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        Self {
            coefficient: self.scaled(exponent) - other.scaled(exponent),
            exponent,
        }
    }

    pub(super) fn mul(&self, other: &Self) -> Self {
        let product = Self {
            coefficient: &self.coefficient * &other.coefficient,
            exponent: self.exponent.saturating_add(other.exponent),
        };
        if product.coefficient.bits() > MAX_DIGITS_BITS {
            Self::from_float(product.to_float()).unwrap_or(product)
        } else {
            product
        }
    }

    /// The quotient, rounded half away from zero. `None` for a division by zero.
    pub(super) fn div(&self, other: &Self) -> Option<Self> {
        if other.coefficient.sign() == Sign::NoSign {
            return None;
        }
        // quotient × 10^-16 = (a × 10^ea) / (b × 10^eb)
        let shift = self.exponent - other.exponent + DIVISION_PRECISION;
        let (mut numerator, mut denominator) =
            (self.coefficient.clone(), other.coefficient.clone());
        let power = BigInt::from(10).pow(shift.unsigned_abs());
        if shift >= 0 {
            numerator *= power;
        } else {
            denominator *= power;
        }
        let mut quotient = &numerator / &denominator;
        let remainder = &numerator % &denominator;
        if remainder.magnitude() * 2_u32 >= *denominator.magnitude() {
            quotient += if numerator.sign() == denominator.sign() {
                1
            } else {
                -1
            };
        }
        Some(Self {
            coefficient: quotient,
            exponent: -DIVISION_PRECISION,
        })
    }
}
