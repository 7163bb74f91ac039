//! Large primes from derived bytes, the same ones for the same bytes in every release of this crate: keys must not change with a library.
//!
//! A window of odd numbers behind a drawn start is sieved with small primes; what is left goes through Miller and Rabin's test. All
//! arithmetic is Montgomery's, on 64-bit limbs, the least significant first.

use crate::context::Derived;

/// Small primes reach up to here: one in nine odd numbers is left, and sieving further would cost more than it spares.
const SIEVE_LIMIT: u32 = 1 << 14;
/// Odd numbers that are looked at behind one start. Of 1,024-bit numbers one in 355 odd ones is prime.
const WINDOW: usize = 4096;
/// Rounds of Miller and Rabin's test with drawn bases. FIPS 186-5 asks for 4 to 5 for the numbers of RSA keys.
const ROUNDS: usize = 8;
const LIMB_BITS: usize = 64;

/// A prime of exactly so many bits (a multiple of 64) with its two highest bits set, big-endian, and one more than no multiple of `exponent`.
pub(super) fn derive_prime(derived: &mut Derived, bits: usize, exponent: u32) -> Vec<u8> {
    let primes = small_primes();
    loop {
        let start = draw(derived, bits);
        for offset in survivors(&start, &primes) {
            let candidate = add(&start, offset);
            // The exponent is a prime, so this is all that inverting it takes.
            let usable = remainder(&candidate, exponent) != 1 && top_bits_are_set(&candidate);
            if usable && is_prime(&candidate, derived) {
                return to_bytes(&candidate);
            }
        }
    }
}

/// A random odd number with its two highest bits set, so that the product of two has all its bits.
fn draw(derived: &mut Derived, bits: usize) -> Vec<u64> {
    let mut limbs = vec![0; bits / LIMB_BITS];
    for limb in &mut limbs {
        *limb = word(derived);
    }
    if let Some(last) = limbs.last_mut() {
        *last |= 3 << (LIMB_BITS - 2);
    }
    limbs[0] |= 1;
    limbs
}

fn word(derived: &mut Derived) -> u64 {
    let mut bytes = [0; 8];
    derived.fill(&mut bytes);
    u64::from_be_bytes(bytes)
}

fn top_bits_are_set(limbs: &[u64]) -> bool {
    limbs
        .last()
        .is_some_and(|last| last >> (LIMB_BITS - 2) == 3)
}

/// The odd primes below the limit.
fn small_primes() -> Vec<u32> {
    let mut composite = vec![false; SIEVE_LIMIT as usize];
    let mut primes = Vec::new();
    for number in (3..SIEVE_LIMIT).step_by(2) {
        if composite[number as usize] {
            continue;
        }
        primes.push(number);
        for multiple in (number * number..SIEVE_LIMIT).step_by(number as usize) {
            composite[multiple as usize] = true;
        }
    }
    primes
}

/// Distances from the start, all even, of numbers without a small factor.
fn survivors(start: &[u64], primes: &[u32]) -> Vec<u64> {
    let mut composite = vec![false; WINDOW];
    for &prime in primes {
        // The number at place i is start + 2i; the first multiple is where 2i is what the remainder lacks.
        let lacks = (prime - remainder(start, prime)) % prime;
        let first = if lacks.is_multiple_of(2) {
            lacks / 2
        } else {
            (lacks + prime) / 2
        };
        for place in (first as usize..WINDOW).step_by(prime as usize) {
            composite[place] = true;
        }
    }
    let places = composite
        .iter()
        .enumerate()
        .filter(|(_, composite)| !**composite);
    places.map(|(place, _)| 2 * place as u64).collect()
}

fn remainder(limbs: &[u64], divisor: u32) -> u32 {
    let divisor = u64::from(divisor);
    let halves = limbs
        .iter()
        .rev()
        .flat_map(|limb| [limb >> 32, limb & 0xffff_ffff]);
    let rest = halves.fold(0, |rest, half| ((rest << 32) | half) % divisor);
    u32::try_from(rest).expect("a remainder is below its divisor, which has 32 bits")
}

fn add(limbs: &[u64], small: u64) -> Vec<u64> {
    let mut sum = limbs.to_vec();
    let mut carry = small;
    for limb in &mut sum {
        let (value, overflow) = limb.overflowing_add(carry);
        *limb = value;
        carry = u64::from(overflow);
    }
    sum
}

fn to_bytes(limbs: &[u64]) -> Vec<u8> {
    limbs
        .iter()
        .rev()
        .flat_map(|limb| limb.to_be_bytes())
        .collect()
}

/// Miller and Rabin's test with bases drawn for it.
fn is_prime(number: &[u64], derived: &mut Derived) -> bool {
    let field = Montgomery::new(number);
    let mut less_one = number.to_vec();
    less_one[0] -= 1;
    let twos = trailing_zeros(&less_one);
    let odd_part = shift_right(&less_one, twos);
    (0..ROUNDS).all(|_| {
        let base: Vec<u64> = number.iter().map(|_| word(derived)).collect();
        field.is_witness_of_primality(&base, &odd_part, twos)
    })
}

fn trailing_zeros(limbs: &[u64]) -> usize {
    let zeros = limbs.iter().take_while(|limb| **limb == 0).count();
    zeros * LIMB_BITS
        + limbs
            .get(zeros)
            .map_or(0, |limb| limb.trailing_zeros() as usize)
}

fn shift_right(limbs: &[u64], by: usize) -> Vec<u64> {
    let (whole, rest) = (by / LIMB_BITS, by % LIMB_BITS);
    let at = |index: usize| limbs.get(index).copied().unwrap_or(0);
    let shifted = (0..limbs.len()).map(|index| {
        let low = at(index + whole) >> rest;
        if rest == 0 {
            low
        } else {
            low | (at(index + whole + 1) << (LIMB_BITS - rest))
        }
    });
    shifted.collect()
}

/// Multiplication modulo an odd number, in Montgomery's form.
struct Montgomery<'n> {
    modulus: &'n [u64],
    /// The negated inverse of the modulus modulo 2^64.
    inverse: u64,
    one: Vec<u64>,
    minus_one: Vec<u64>,
}

impl<'n> Montgomery<'n> {
    fn new(modulus: &'n [u64]) -> Self {
        let mut inverse: u64 = 1;
        for _ in 0..6 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(modulus[0].wrapping_mul(inverse)));
        }
        // 2^bits modulo the modulus, whose highest bit is set: one subtraction from 2^bits.
        let zero = vec![0; modulus.len()];
        let (one, _) = subtract(&zero, modulus);
        let (minus_one, _) = subtract(modulus, &one);
        Self {
            modulus,
            inverse: inverse.wrapping_neg(),
            one,
            minus_one,
        }
    }

    /// The product of two numbers in this form.
    fn multiply(&self, a: &[u64], b: &[u64]) -> Vec<u64> {
        let length = self.modulus.len();
        let mut sum = vec![0_u64; length + 2];
        for &factor in a {
            accumulate(&mut sum, factor, b);
            let cancel = sum[0].wrapping_mul(self.inverse);
            accumulate(&mut sum, cancel, self.modulus);
            sum.copy_within(1.., 0);
            sum[length + 1] = 0;
        }
        let (reduced, borrowed) = subtract(&sum[..length], self.modulus);
        if sum[length] > 0 || !borrowed {
            reduced
        } else {
            sum[..length].to_vec()
        }
    }

    /// What a base says: of a composite number three in four say that it is one. The base is taken as it is, already in this form.
    fn is_witness_of_primality(&self, base: &[u64], odd_part: &[u64], twos: usize) -> bool {
        let mut power = self.power(&self.multiply(base, &self.one), odd_part);
        if power == self.one || power == self.minus_one {
            return true;
        }
        for _ in 1..twos {
            power = self.multiply(&power, &power);
            if power == self.minus_one {
                return true;
            }
        }
        false
    }

    /// Four bits of the exponent at a time.
    fn power(&self, base: &[u64], exponent: &[u64]) -> Vec<u64> {
        const WIDTH: usize = 4;
        let mut powers = vec![self.one.clone()];
        for index in 1..1 << WIDTH {
            powers.push(self.multiply(&powers[index - 1], base));
        }
        let mut result = self.one.clone();
        for limb in exponent.iter().rev() {
            for shift in (0..LIMB_BITS).step_by(WIDTH).rev() {
                for _ in 0..WIDTH {
                    result = self.multiply(&result, &result);
                }
                let digit = (limb >> shift) as usize & ((1 << WIDTH) - 1);
                if digit > 0 {
                    result = self.multiply(&result, &powers[digit]);
                }
            }
        }
        result
    }
}

/// Adds a multiple of a number; the sum is two limbs longer.
fn accumulate(sum: &mut [u64], factor: u64, number: &[u64]) {
    let mut carry = 0;
    for (limb, part) in sum.iter_mut().zip(number) {
        let value = u128::from(*limb) + u128::from(factor) * u128::from(*part) + u128::from(carry);
        *limb = value as u64;
        carry = (value >> LIMB_BITS) as u64;
    }
    for limb in &mut sum[number.len()..] {
        let (value, overflow) = limb.overflowing_add(carry);
        *limb = value;
        carry = u64::from(overflow);
    }
}

/// The difference, and whether it fell below zero.
fn subtract(a: &[u64], b: &[u64]) -> (Vec<u64>, bool) {
    let mut borrow = false;
    let difference = a.iter().zip(b).map(|(a, b)| {
        let (value, first) = a.overflowing_sub(*b);
        let (value, second) = value.overflowing_sub(u64::from(borrow));
        borrow = first || second;
        value
    });
    let difference = difference.collect();
    (difference, borrow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{HelmVersion, Now, RenderContext, Secret};

    fn derived(call: &str) -> Derived {
        let mut context = RenderContext::new(
            HelmVersion::V4,
            "r",
            "ns",
            Now::default(),
            Secret::new([3; 32]),
        );
        context.derive("prime", call)
    }

    /// 2^64 - 59 is the largest prime of 64 bits, 2^64 - 83 the next; 2^521 - 1 is one of Mersenne's.
    #[test]
    fn primes_are_known_from_other_numbers() {
        let mut bases = derived("bases");
        for (low, prime) in [
            (59, true),
            (83, true),
            (57, false),
            (61, false),
            (63, false),
        ] {
            assert_eq!(
                is_prime(&[u64::MAX - low + 1], &mut bases),
                prime,
                "2^64 - {low}"
            );
        }
        // (2^64 - 59)(2^64 - 83): no small factors, and no prime.
        let product = u128::from(u64::MAX - 58) * u128::from(u64::MAX - 82);
        assert!(!is_prime(
            &[product as u64, (product >> 64) as u64],
            &mut bases
        ));
        // 2^128 - 159 is prime.
        assert!(is_prime(&[u64::MAX - 158, u64::MAX], &mut bases));
    }

    #[test]
    fn derived_primes_are_primes_of_the_length_asked_for() {
        use rsa::BigUint;
        for bits in [128, 512, 1024] {
            let bytes = derive_prime(&mut derived("a"), bits, 65_537);
            assert_eq!(bytes, derive_prime(&mut derived("a"), bits, 65_537));
            assert_ne!(bytes, derive_prime(&mut derived("b"), bits, 65_537));
            assert_eq!((bytes.len(), bytes[0] >> 6), (bits / 8, 3));
            // Fermat's test, by another library.
            let prime = BigUint::from_bytes_be(&bytes);
            let less_one = &prime - 1_u32;
            for base in [2_u32, 3, 5] {
                assert_eq!(
                    BigUint::from(base).modpow(&less_one, &prime),
                    BigUint::from(1_u32)
                );
            }
        }
    }

    #[test]
    fn small_primes_are_all_there() {
        let primes = small_primes();
        assert_eq!((primes[0], primes[1], primes.len()), (3, 5, 1899));
        assert!(!primes.contains(&9) && primes.contains(&16_381));
    }
}
