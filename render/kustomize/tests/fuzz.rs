//! Bounded fuzzing of builds: trees, mutations of them, and trees that made something new happen kept for more.
//!
//! Nothing may panic, and a build with a cache gives what one without gives.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot make its trees has failed"
)]

#[path = "../../tests/fuzzing/mod.rs"]
mod fuzzing;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use capstan_kustomize::{Build, Cache, Error, MemoryTree, Options, build};
use fuzzing::{Fuzz, Input, Random};

/// The size of a file in bytes.
const MAX_FILE: usize = 2_048;

/// A tree: paths and texts.
#[derive(Debug, Clone)]
struct Files(Vec<(String, String)>);

/// In files, a tree is a JSON list of pairs.
impl Input for Files {
    fn read(bytes: &[u8]) -> Option<Self> {
        let pairs: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        let text = |it: &serde_json::Value| it.as_str().map(str::to_owned);
        let pair = |it: &serde_json::Value| Some((text(it.get(0)?)?, text(it.get(1)?)?));
        let files = pairs.as_array()?.iter().map(pair).collect::<Option<_>>()?;
        Some(Files(files))
    }

    fn write(&self) -> Vec<u8> {
        let pair = |it: &(String, String)| serde_json::json!([it.0, it.1]);
        let pairs: Vec<_> = self.0.iter().map(pair).collect();
        format!("{:#}\n", serde_json::Value::Array(pairs)).into_bytes()
    }
}

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {app: web}}\nspec:\n  replicas: 1\n  template:\n    spec:\n      \
    containers: [{name: web, image: 'nginx:1', env: [{name: A, value: $(V)}], envFrom: [{configMapRef: {name: settings}}]}]\n";

/// Each exercises other fields.
const TREES: [&[(&str, &str)]; 6] = [
    &[
        (
            "kustomization.yaml",
            "resources: [base, extra.yaml]\nnamespace: shop\nnamePrefix: p-\nnameSuffix: -s\nlabels:\n- {pairs: {env: prod}, includeSelectors: true}\ncommonAnnotations: {a: b}\n",
        ),
        (
            "extra.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}}\n",
        ),
        ("base/kustomization.yaml", "resources: [d.yaml]\n"),
        ("base/d.yaml", DEPLOYMENT),
    ],
    &[
        (
            "kustomization.yaml",
            "resources: [d.yaml]\npatches:\n- path: p.yaml\n- {target: {kind: Deployment, name: 'w.*'}, patch: '[{op: replace, path: /spec/replicas, value: 3}]'}\n\
             images: [{name: nginx, newName: x/y, newTag: '2'}]\nreplicas: [{name: web, count: 4}]\n",
        ),
        ("d.yaml", DEPLOYMENT),
        (
            "p.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, $patch: delete}, {name: new, image: b}]}}}\n",
        ),
    ],
    &[
        (
            "kustomization.yaml",
            "resources: [d.yaml]\nconfigMapGenerator:\n- {name: settings, literals: [a=1, 'b=\"x\"'], files: [f.txt, k=f.txt], envs: [e.env], options: {labels: {x: y}}}\n\
             secretGenerator: [{name: s, type: Opaque, literals: [p=w]}]\ngeneratorOptions: {disableNameSuffixHash: false, immutable: true}\n",
        ),
        ("d.yaml", DEPLOYMENT),
        ("f.txt", "line\n"),
        ("e.env", "# c\nX=1\nY\n"),
    ],
    &[
        (
            "kustomization.yaml",
            "resources: [d.yaml]\nreplacements:\n- source: {kind: Deployment, fieldPath: 'spec.template.spec.containers.[name=web].image', options: {delimiter: ':', index: 1}}\n  \
             targets:\n  - select: {kind: Deployment}\n    fieldPaths: ['metadata.annotations.v', 'spec.template.spec.containers.*.env.[name=A].value']\n    options: {create: true}\n",
        ),
        ("d.yaml", DEPLOYMENT),
    ],
    &[
        (
            "kustomization.yaml",
            "resources: [d.yaml]\ncomponents: [c]\nvars:\n- {name: V, objref: {apiVersion: apps/v1, kind: Deployment, name: web}, fieldref: {fieldpath: spec.replicas}}\n\
             configurations: [cfg.yaml]\nsortOptions: {order: legacy}\nbuildMetadata: [originAnnotations, managedByLabel]\n",
        ),
        ("d.yaml", DEPLOYMENT),
        (
            "c/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ntransformers:\n- |-\n  apiVersion: builtin\n  kind: PrefixTransformer\n  metadata: {name: t}\n  prefix: c-\n  fieldSpecs: [{path: metadata/name}]\n",
        ),
        (
            "cfg.yaml",
            "nameReference:\n- {kind: ConfigMap, fieldSpecs: [{path: spec/x, kind: Deployment}]}\nimages: [{path: spec/y}]\n",
        ),
    ],
    &[
        (
            "kustomization.yaml",
            "resources: [crd.yaml, r.yaml]\ncrds: [s.json]\nopenapi: {path: o.json}\npatchesStrategicMerge: [p.yaml]\n",
        ),
        (
            "crd.yaml",
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.x.dev}\nspec: {group: x.dev}\n",
        ),
        (
            "r.yaml",
            "apiVersion: x.dev/v1\nkind: Thing\nmetadata: {name: t}\nspec: {l: [{name: a, v: 1}]}\n",
        ),
        (
            "p.yaml",
            "apiVersion: x.dev/v1\nkind: Thing\nmetadata: {name: t}\nspec: {l: [{name: a, v: 2}, {name: b}]}\n",
        ),
        (
            "s.json",
            "{\"x.Thing\": {\"Schema\": {\"properties\": {\"ref\": {\"x-kubernetes-object-ref-api-version\": \"v1\"}}}}}",
        ),
        (
            "o.json",
            "{\"definitions\": {\"v1.Thing\": {\"properties\": {\"spec\": {\"type\": \"object\"}}, \"x-kubernetes-group-version-kind\": [{\"group\": \"x.dev\", \"version\": \"v1\", \"kind\": \"Thing\"}]}}}",
        ),
    ],
];

const PIECES: &[&str] = &[
    ": ",
    "- ",
    "\n",
    "\n  ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "---\n",
    "null",
    "~",
    "\"\"",
    "*",
    ".*",
    "(",
    "..",
    "../base",
    ".",
    "/",
    "$(V)",
    "$patch: delete",
    "&a ",
    "*a",
    "<<: ",
    "name: web",
    "kind: List\nitems: []\n",
    "1e400",
    "0x1F",
    "true",
    "|\n  x\n",
    "spec.a.[b=c].*",
    "base",
    "kustomization.yaml",
];

#[test]
fn no_tree_panics_and_a_cache_changes_nothing() {
    let fuzz = Fuzz {
        name: "kustomize",
        committed: &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"),
        runs: 12_000,
        least: 200,
    };
    fuzz.run(TREES.iter().map(|it| owned(it)), mutate, check);
}

fn owned(files: &[(&str, &str)]) -> Files {
    let own = files.iter().map(|it| (it.0.to_owned(), it.1.to_owned()));
    Files(own.collect())
}

/// Builds a tree without a cache and twice with one, and says roughly what happened.
fn check(files: &Files) -> String {
    let tree = MemoryTree::new(files.0.clone());
    let built = |cache| {
        let options = Options {
            cache,
            ..Options::default()
        };
        build(&tree, "", &options)
    };
    let plain = built(None);
    let text = |it: &Result<Arc<Build>, Error>| match it {
        Ok(built) => built.to_yaml(),
        Err(error) => format!("error: {error}"),
    };
    let cache = Cache::default();
    for _ in 0..2 {
        let cached = built(Some(&cache));
        assert_eq!(text(&cached), text(&plain), "a cache changed it");
    }
    match &plain {
        Ok(built) => shape(built),
        Err(error) => format!("{:?} {}", error.kind(), words(&error.to_string())),
    }
}

/// How many objects there are, of how many kinds, what changed them, and roughly how long the text is.
fn shape(built: &Build) -> String {
    let kinds: BTreeSet<&str> = built.objects.iter().map(|it| &*it.id.gvk.kind).collect();
    let layers = built.objects.iter().flat_map(|it| &it.layers);
    let layers: BTreeSet<&str> = layers.map(|it| &*it.transformer).collect();
    let bytes = built.to_yaml().len();
    format!(
        "{} objects of {} kinds, {layers:?}, {} warnings, {} bytes",
        built.objects.len(),
        kinds.len(),
        built.warnings.len(),
        bytes / 256
    )
}

/// The words of a message less what differs from input to input.
fn words(message: &str) -> String {
    message
        .split_whitespace()
        .map(|word| word.trim_matches(|it: char| !it.is_alphabetic()))
        .filter(|word| word.chars().all(char::is_alphabetic))
        .take(16)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A place in a text between two characters.
fn place(random: &mut Random, text: &str) -> usize {
    let mut at = random.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn mutate(random: &mut Random, corpus: &[Files]) -> Files {
    let Files(mut files) = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        if files.is_empty() {
            break;
        }
        let which = random.below(files.len());
        let donor = &corpus[random.below(corpus.len())].0;
        let other = if donor.is_empty() {
            ""
        } else {
            &donor[random.below(donor.len())].1
        };
        let text = &mut files[which].1;
        let (a, b) = (place(random, text), place(random, text));
        let (from, to) = (a.min(b), a.max(b));
        match random.below(8) {
            0 => drop(text.drain(from..to)),
            1 => {
                let copy = text[from..to].to_owned();
                text.insert_str(from, &copy);
            }
            2 => {
                let (a, b) = (place(random, other), place(random, other));
                text.insert_str(from, &other[a.min(b)..a.max(b)]);
            }
            3 => drop(files.swap_remove(which)),
            _ => text.insert_str(from, PIECES[random.below(PIECES.len())]),
        }
    }
    for (_, text) in &mut files {
        while text.len() > MAX_FILE {
            text.pop();
        }
    }
    Files(files)
}
