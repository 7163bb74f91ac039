//! Certificates: stable, renewed in time, and valid to a reader that is not ours.

use capstan_gotemplate::{Ctx, Funcs, Limits, Map, TemplateSet};
use std::sync::Arc;

use crate::context::{HelmVersion, Now, RenderContext, Secret};

fn run(template: &str, days_later: i64) -> String {
    let mut funcs = Funcs::new();
    crate::funcs::register(&mut funcs, HelmVersion::V4);
    let mut set = TemplateSet::new(Arc::new(funcs));
    set.parse("t", template).unwrap();
    let now = Now {
        seconds: 1_800_000_000 + days_later * super::DAY,
        nanoseconds: 0,
    };
    let mut host = RenderContext::new(HelmVersion::V4, "web", "shop", now, Secret::new([9; 32]));
    let mut ctx = Ctx::new(Arc::new(set), Limits::default(), &mut host);
    let out = ctx.execute("t", &Map::new().into()).unwrap().to_string();
    assert!(host.sensitive);
    out
}

/// Ed25519 is quick to derive; the certificate around it is the same as for RSA.
const SIGNED: &str = r#"{{ $key := genPrivateKey "ed25519" }}{{ $ca := genCAWithKey "root" 100 $key -}}
{{ $cert := genSignedCertWithKey "web" (list "10.0.0.1" "::1") (list "web.svc") 10 $ca $key }}{{ $cert.Cert }}"#;

#[test]
fn certificates_are_stable_and_renewed_before_they_expire() {
    let today = run(SIGNED, 0);
    assert_eq!(today, run(SIGNED, 0));
    assert!(today.starts_with("-----BEGIN CERTIFICATE-----\n"));
    let renewed = (1..=5).any(|day| run(SIGNED, day) != today);
    assert!(renewed, "half of ten days is the longest that one is kept");
}

#[test]
fn keys_can_be_read_back() {
    for kind in ["ecdsa", "ed25519"] {
        let pem = run(&format!("{{{{ genPrivateKey {kind:?} }}}}"), 0);
        let key = super::PrivateKey::parse(&pem).unwrap();
        assert_eq!(key.to_pem().unwrap(), pem);
    }
}

#[test]
fn what_a_certificate_says_can_be_found_in_it() {
    let pem = run(SIGNED, 0);
    let block = super::pem::decode(&pem).unwrap();
    let contains = |bytes: &[u8]| {
        block
            .bytes
            .windows(bytes.len())
            .any(|window| window == bytes)
    };
    for part in [b"web.svc".as_slice(), b"root", &[0x87, 4, 10, 0, 0, 1]] {
        assert!(contains(part), "{part:?}");
    }
}
