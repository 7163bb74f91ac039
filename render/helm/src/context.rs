//! [`RenderContext`]: what functions are given besides their arguments, and what they leave behind.
//!
//! Rendering is pure, so the time, the randomness and the cluster are inputs. All of them are here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use capstan_gotemplate::{Ctx, FuncError, Str, Value};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};

use crate::watch::Watch;

/// Whose behaviour a render has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum HelmVersion {
    /// Helm 3.22; 3.21 is the same.
    V3,
    /// Helm 4.3; 4.2 lacks eleven functions for durations.
    #[default]
    V4,
}

/// A moment, given by the caller: seconds since 1970-01-01 UTC, and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Whole seconds.
    pub seconds: i64,
    /// The rest, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// The secret that random values are derived from: 32 bytes that nobody can guess, kept by the caller, the same for each render of a
/// cluster's releases.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Takes any number of bytes, which are as hard to guess as 32 random ones.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// Another secret, from which nobody can tell this one.
    pub(crate) fn twin(&self) -> Self {
        Self::of(&[&self.0[..], b"twin"].concat())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Keeps keys that are dear to derive (an RSA key takes a good part of a second) between renders. What it keeps is as secret as the
/// keys are: an implementation holds them in memory only.
pub trait KeyCache: Send + Sync {
    /// The key for a label, if it is kept.
    fn get(&self, label: &[u8; 32]) -> Option<Arc<str>>;
    /// Keeps a key.
    fn put(&self, label: [u8; 32], key: Arc<str>);
}

/// What `lookup` names: one object, or all of a kind where there is no name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lookup {
    /// For example `v1` or `apps/v1`.
    pub api_version: String,
    /// For example `Secret`.
    pub kind: String,
    /// Empty for objects without a namespace, and for all namespaces.
    pub namespace: String,
    /// Empty for a list.
    pub name: String,
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.api_version, self.kind)?;
        for part in [&self.namespace, &self.name] {
            write!(f, " {}", if part.is_empty() { "*" } else { part })?;
        }
        Ok(())
    }
}

/// What functions are given besides their arguments. The host of every [`Ctx`] that renders a chart.
pub struct RenderContext {
    /// Whose functions and behaviour.
    pub version: HelmVersion,
    /// The release's name.
    pub release: String,
    /// The release's namespace.
    pub namespace: String,
    /// The file that is being rendered. The engine sets it.
    pub template: String,
    /// The time of the render.
    pub now: Now,
    /// What random values are derived from.
    pub secret: Secret,
    /// Where keys are kept between renders, if anywhere.
    pub keys: Option<Arc<dyn KeyCache>>,
    /// Whether something random or a secret was used. The engine clears it before a file, and reads it after.
    pub sensitive: bool,
    /// Whether that was so at any time.
    pub(crate) used_secrets: bool,
    /// Whether this is a second render with other secrets, which is only compared with the first.
    pub(crate) is_twin: bool,
    /// What templates can change, to find out whether they put something secret there.
    pub(crate) watch: Option<Watch>,
    /// What lookups gave so far, with the answers of the caller; `None` is asked for and not known.
    pub lookups: BTreeMap<Lookup, Option<Value>>,
    /// What `lookup` was called for.
    pub(crate) asked: BTreeSet<Lookup>,
    /// How often each template is being included inside itself at the moment.
    pub(crate) including: BTreeMap<Str, u32>,
    /// How often each derived value was asked for, so that two calls in one file differ.
    calls: BTreeMap<String, u64>,
}

impl RenderContext {
    /// The context of a render of a release.
    #[must_use]
    pub fn new(
        version: HelmVersion,
        release: &str,
        namespace: &str,
        now: Now,
        secret: Secret,
    ) -> Self {
        Self {
            version,
            release: release.to_owned(),
            namespace: namespace.to_owned(),
            template: String::new(),
            now,
            secret,
            keys: None,
            sensitive: false,
            used_secrets: false,
            is_twin: false,
            watch: None,
            lookups: BTreeMap::new(),
            asked: BTreeSet::new(),
            including: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    /// To be called by every function whose result is random or a secret, before it gives it.
    pub fn mark_sensitive(&mut self) {
        if !self.sensitive {
            self.sensitive = true;
            self.used_secrets = true;
            if let Some(watch) = &mut self.watch {
                watch.begin();
            }
        }
    }

    /// A source of bytes for one call of a function: the same for the same release, file, function, arguments and number of the call
    /// among equal ones; unknown to everyone who has not the secret. Marks the render as sensitive.
    pub fn derive(&mut self, function: &str, arguments: &str) -> Derived {
        self.mark_sensitive();
        let call = field(&[&self.template, function, arguments]);
        let number = self.calls.entry(call.clone()).or_default();
        let info = field(&[&self.namespace, &self.release, &call, &number.to_string()]);
        *number += 1;
        Derived::new(&self.secret, &info)
    }
}

impl fmt::Debug for RenderContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Lookups hold what lives in the cluster, so only what was asked for is shown.
        f.debug_struct("RenderContext")
            .field("version", &self.version)
            .field("release", &self.release)
            .field("namespace", &self.namespace)
            .field("template", &self.template)
            .field("now", &self.now)
            .field("sensitive", &self.sensitive)
            .field("lookups", &self.lookups.keys())
            .finish_non_exhaustive()
    }
}

/// The context that functions find in their [`Ctx`].
pub(crate) fn of<'c>(ctx: &'c mut Ctx<'_>) -> Result<&'c mut RenderContext, FuncError> {
    ctx.host::<RenderContext>()
        .ok_or_else(|| "the host of this render gives no RenderContext".into())
}

/// Texts joined so that no two different lists give the same.
fn field(parts: &[&str]) -> String {
    parts
        .iter()
        .map(|part| format!("{}:{part}", part.len()))
        .collect()
}

/// Bytes derived from the secret (HKDF with SHA-256), as many as are needed.
pub struct Derived {
    expander: Hkdf<Sha256>,
    block: [u8; Self::BLOCK],
    used: usize,
    counter: u64,
}

impl Derived {
    /// Bytes that one expansion gives; HKDF allows 8,160.
    const BLOCK: usize = 64;

    fn new(secret: &Secret, info: &str) -> Self {
        let expander = Hkdf::new(Some(info.as_bytes()), &secret.0);
        Self {
            expander,
            block: [0; Self::BLOCK],
            used: Self::BLOCK,
            counter: 0,
        }
    }

    /// Fills a buffer.
    pub fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            *byte = self.byte();
        }
    }

    fn byte(&mut self) -> u8 {
        if self.used == Self::BLOCK {
            let length_is_valid = self
                .expander
                .expand(&self.counter.to_be_bytes(), &mut self.block);
            length_is_valid.expect("64 bytes are fewer than HKDF can give");
            self.counter += 1;
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// A number below `bound`, all equally likely.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Rejecting the incomplete last round keeps it fair.
        let zone = u64::MAX - u64::MAX % bound.max(1);
        loop {
            let mut bytes = [0; 8];
            self.fill(&mut bytes);
            let number = u64::from_be_bytes(bytes);
            if number < zone {
                return number % bound.max(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(secret: u8) -> RenderContext {
        RenderContext::new(
            HelmVersion::V4,
            "web",
            "shop",
            Now::default(),
            Secret::new([secret; 32]),
        )
    }

    fn draw(derived: &mut Derived) -> [u8; 100] {
        let mut bytes = [0; 100];
        derived.fill(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_derived_depends_on_secret_file_call_and_number() {
        let (mut a, mut b, mut other) = (context(1), context(1), context(2));
        let first = draw(&mut a.derive("randAlpha", "10"));
        assert_eq!(first, draw(&mut b.derive("randAlpha", "10")));
        assert_ne!(first, draw(&mut a.derive("randAlpha", "10")));
        assert_ne!(first, draw(&mut other.derive("randAlpha", "10")));
        b.template = "x.yaml".into();
        assert_ne!(first, draw(&mut b.derive("randAlpha", "10")));
        assert!(a.sensitive);
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?} {:?}", context(7), Secret::new([7; 32])).contains('7'));
    }
}
