//! Bounded fuzzing of builds: trees, mutations from a seed, and trees that made something new happen kept for more.
//!
//! Nothing may panic, and a build with a cache gives what one without gives. A failure names its run and prints the tree.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot make its trees has failed"
)]

use std::collections::BTreeSet;

use capstan_kustomize::{Cache, MemoryTree, Options, build};

/// Trees of one run. It takes some seconds; raise it to look longer.
const RUNS: u64 = 12_000;
const SEED: u64 = 0xCA95_7A18;
/// Trees that are kept, and the size of a file in bytes.
const MAX_CORPUS: usize = 300;
const MAX_FILE: usize = 2_048;

type Files = Vec<(String, String)>;

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
    let mut corpus: Vec<Files> = TREES.iter().map(|it| owned(it)).collect();
    let mut seen = BTreeSet::new();
    for run in 0..RUNS {
        let mut random = Random(SEED.wrapping_add(run));
        let files = random.mutate(&corpus);
        let result = std::panic::catch_unwind(|| check(&files));
        let Ok(what) = result else {
            panic!("run {run} panicked on {files:#?}");
        };
        if seen.insert(what) && corpus.len() < MAX_CORPUS {
            corpus.push(files);
        }
    }
    assert!(
        seen.len() > 200,
        "only {} different things happened: the mutations are too tame",
        seen.len()
    );
}

fn owned(files: &[(&str, &str)]) -> Files {
    let own = files.iter().map(|it| (it.0.to_owned(), it.1.to_owned()));
    own.collect()
}

/// Builds a tree without a cache and twice with one, and says roughly what happened.
fn check(files: &Files) -> String {
    let tree = MemoryTree::new(files.clone());
    let plain = text(&tree, None);
    let cache = Cache::default();
    for _ in 0..2 {
        assert_eq!(text(&tree, Some(&cache)), plain, "a cache changed it");
    }
    match plain {
        Ok(text) => format!(
            "{} objects, {} bytes",
            text.matches("kind:").count(),
            text.len() / 64
        ),
        Err(error) => error
            .split_whitespace()
            .map(|word| word.trim_matches(|it: char| !it.is_alphabetic()))
            .filter(|word| word.chars().all(char::is_alphabetic))
            .take(16)
            .collect::<Vec<_>>()
            .join(" "),
    }
}

fn text(tree: &MemoryTree, cache: Option<&Cache>) -> Result<String, String> {
    let options = Options {
        cache,
        ..Options::default()
    };
    build(tree, "", &options)
        .map(|it| it.to_yaml())
        .map_err(|error| error.to_string())
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }

    /// A place in a text between two characters.
    fn place(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn mutate(&mut self, corpus: &[Files]) -> Files {
        let mut files = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let which = self.below(files.len());
            let donor = corpus[self.below(corpus.len())].clone();
            let other = donor[self.below(donor.len())].1.clone();
            let text = &mut files[which].1;
            let (a, b) = (self.place(text), self.place(text));
            let (from, to) = (a.min(b), a.max(b));
            match self.below(8) {
                0 => drop(text.drain(from..to)),
                1 => {
                    let copy = text[from..to].to_owned();
                    text.insert_str(from, &copy);
                }
                2 => {
                    let (a, b) = (self.place(&other), self.place(&other));
                    text.replace_range(from..from, &other[a.min(b)..a.max(b)]);
                }
                3 => drop(files.swap_remove(which)),
                _ => text.insert_str(from, PIECES[self.below(PIECES.len())]),
            }
            if files.is_empty() {
                return files;
            }
        }
        for (_, text) in &mut files {
            while text.len() > MAX_FILE {
                text.pop();
            }
        }
        files
    }
}
