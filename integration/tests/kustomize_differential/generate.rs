//! Random overlays: bases, components and patches over a handful of names, so that they meet each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::{Case, differential::Dice};

impl Dice {
    fn percent(&mut self, chance: usize) -> bool {
        self.roll(100) < chance
    }

    fn several(&mut self, least: usize, most: usize, make: fn(&mut Dice) -> String) -> String {
        let count = least + self.roll(most - least + 1);
        (0..count)
            .map(|_| make(self))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const SCALARS: [&str; 18] = [
    "1",
    "\"1\"",
    "true",
    "yes",
    "null",
    "x",
    "\"a: b\"",
    "1.50",
    "0644",
    "\"$(V)\"",
    "~",
    "2001-01-01",
    "\"\"",
    "\"x\\ny\\n\"",
    "[]",
    "{}",
    "-1",
    "1e3",
];
const KINDS: [(&str, &str); 12] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "CronJob"),
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("x.dev/v1", "Thing"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("networking.k8s.io/v1", "Ingress"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
];

/// An overlay.
pub(crate) fn overlay(seed: u64) -> Case {
    let mut maker = Maker {
        dice: Dice(seed.wrapping_mul(7919) + 1),
        files: BTreeMap::new(),
        objects: BTreeSet::new(),
    };
    let depth = maker.dice.roll(3);
    maker.kustomization("", depth, false);
    Case {
        name: format!("generated from seed {seed}"),
        files: maker.files,
        ..Case::default()
    }
}

struct Maker {
    dice: Dice,
    files: BTreeMap<String, String>,
    /// Type and name of what there is: no two are the same, and patches have something to find.
    objects: BTreeSet<(usize, &'static str)>,
}

impl Maker {
    fn kustomization(&mut self, folder: &str, depth: usize, is_component: bool) {
        let mut text = String::new();
        if is_component {
            text.push_str("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n");
        }
        let mut resources = Vec::new();
        if !is_component || self.dice.percent(30) {
            let objects = self.objects();
            self.files.insert(format!("{folder}r.yaml"), objects);
            resources.push("r.yaml".to_owned());
        }
        if depth > 0 && !is_component {
            for at in 0..=self.dice.roll(2) {
                self.kustomization(&format!("{folder}base{at}/"), depth - 1, false);
                resources.push(format!("base{at}"));
            }
        }
        if !resources.is_empty() {
            let _ = writeln!(text, "resources: [{}]", resources.join(", "));
        }
        if !is_component && self.dice.percent(25) {
            text.push_str("components: [comp]\n");
            self.kustomization(&format!("{folder}comp/"), 0, true);
        }
        self.simple_fields(&mut text);
        self.patches(&mut text);
        self.replacements(&mut text);
        if text.is_empty() {
            text.push_str("namePrefix: e-\n");
        }
        self.files
            .insert(format!("{folder}kustomization.yaml"), text);
    }

    fn objects(&mut self) -> String {
        let mut all = Vec::new();
        for _ in 0..=self.dice.roll(4) {
            let (kind, name) = (self.dice.roll(KINDS.len()), self.dice.pick(&NAMES));
            if self.objects.insert((kind, name)) {
                all.push(object(&mut self.dice, kind, name));
            }
        }
        all.join("---\n")
    }

    fn simple_fields(&mut self, text: &mut String) {
        let fields: [(usize, &[&str]); 13] = [
            (15, &["namespace: s", "namespace: t", "namespace: default"]),
            (35, &["namePrefix: p-", "namePrefix: q-"]),
            (25, &["nameSuffix: -x", "nameSuffix: -z"]),
            (
                20,
                &[
                    "commonLabels: {c: x}",
                    "commonLabels: {c: \"true\", d: \"1\"}",
                ],
            ),
            (
                25,
                &[
                    "labels: [{pairs: {l: v}}]",
                    "labels: [{pairs: {l: v}, includeSelectors: true}]",
                    "labels: [{pairs: {l: v}, includeTemplates: true}]",
                    "labels: [{pairs: {l: v}, fields: [{path: spec/x/z, create: true, kind: Thing}]}]",
                ],
            ),
            (20, &["commonAnnotations: {a: \"1\", z: x}"]),
            (
                25,
                &[
                    "images: [{name: nginx, newTag: \"2\"}]",
                    "images: [{name: nginx, newName: other, digest: sha256:d}]",
                    "images: [{name: nginx, tagSuffix: -s}]",
                ],
            ),
            (20, &["replicas: [{name: a, count: 3}]"]),
            (
                20,
                &[
                    "configMapGenerator: [{name: g, literals: [k=1, 'b=x z']}]",
                    "configMapGenerator: [{name: g, literals: [k=1], options: {disableNameSuffixHash: true}}]",
                    "secretGenerator: [{name: g, literals: [k=1]}]",
                ],
            ),
            (10, &["generatorOptions: {labels: {gen: x}}"]),
            (
                15,
                &["sortOptions: {order: fifo}", "sortOptions: {order: legacy}"],
            ),
            (
                10,
                &[
                    "buildMetadata: [originAnnotations]",
                    "buildMetadata: [originAnnotations, transformerAnnotations, managedByLabel]",
                ],
            ),
            (
                10,
                &[
                    "transformers:\n- |\n  apiVersion: builtin\n  kind: PrefixTransformer\n  metadata: {name: t}\n  prefix: t-\n  fieldSpecs: [{path: metadata/name}]",
                    "transformers:\n- |\n  apiVersion: builtin\n  kind: NamespaceTransformer\n  metadata: {name: t, namespace: u}\n  unsetOnly: true",
                    "transformers:\n- |\n  apiVersion: builtin\n  kind: AnnotationsTransformer\n  metadata: {name: t}\n  annotations: {x: 1}\n  fieldSpecs: [{path: metadata/annotations, create: true}]",
                ],
            ),
        ];
        for (chance, spellings) in fields {
            if self.dice.percent(chance) {
                text.push_str(self.dice.pick(spellings));
                text.push('\n');
            }
        }
    }

    fn patches(&mut self, text: &mut String) {
        if !self.dice.percent(45) {
            return;
        }
        text.push_str("patches:\n");
        for _ in 0..=self.dice.roll(2) {
            let known: Vec<_> = self.objects.iter().copied().collect();
            if known.is_empty() || self.dice.percent(40) {
                let operation = operation(&mut self.dice);
                let _ = writeln!(text, "- patch: |\n    - {operation}");
                let _ = writeln!(text, "  target: {}", selector(&mut self.dice));
                continue;
            }
            let (kind, name) = known[self.dice.roll(known.len())];
            let patch = object(&mut self.dice, kind, name);
            text.push_str("- patch: |\n");
            for line in patch.lines() {
                let _ = writeln!(text, "    {line}");
            }
            if self.dice.percent(80) {
                let _ = writeln!(text, "  target: {}", selector(&mut self.dice));
            }
            if self.dice.percent(15) {
                let option = self.dice.pick(&["allowNameChange", "allowKindChange"]);
                let _ = writeln!(text, "  options: {{{option}: true}}");
            }
        }
    }

    fn replacements(&mut self, text: &mut String) {
        let known: Vec<_> = self.objects.iter().copied().collect();
        if known.is_empty() || !self.dice.percent(25) {
            return;
        }
        let (kind, name) = known[self.dice.roll(known.len())];
        let field = self.dice.pick(&[
            "",
            "",
            "",
            ", fieldPath: metadata.namespace",
            ", fieldPath: data.k",
        ]);
        let path = self.dice.pick(&[
            "metadata.annotations.r",
            "metadata.annotations.r",
            "metadata.labels.r",
            "\"spec.template.spec.containers.[name=a].image\"",
            "\"spec.template.spec.containers.*.image\"",
            "data.k",
            "\"spec.l.[name=zz].x\"",
        ]);
        let delimiter = self.dice.pick(&[
            "",
            "",
            ", delimiter: \":\", index: 0",
            ", delimiter: \":\", index: 5",
        ]);
        let _ = writeln!(
            text,
            "replacements:\n- source: {{kind: {}, name: {name}{field}}}\n  targets:\n  - select: {}\n    fieldPaths: [{path}]\n    options: {{create: true{delimiter}}}",
            KINDS[kind].1,
            selector(&mut self.dice),
        );
    }
}

fn object(dice: &mut Dice, kind: usize, name: &str) -> String {
    let (api_version, kind) = KINDS[kind];
    let (metadata, body) = (metadata(dice, name), body(dice, kind));
    format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{{metadata}}}\n{body}\n")
}

fn metadata(dice: &mut Dice, name: &str) -> String {
    let mut metadata = format!("name: {name}");
    let extras: [(usize, &[&str]); 3] = [
        (20, &["namespace: s", "namespace: t"]),
        (
            40,
            &[
                "labels: {app: a, tier: \"1\"}",
                "labels: {app: b, n1: 1}",
                "labels: {app: null}",
            ],
        ),
        (
            30,
            &[
                "annotations: {k: x}",
                "annotations: {k: \"1\", z: null}",
                "annotations: {k: 5}",
            ],
        ),
    ];
    for (chance, spellings) in extras {
        if dice.percent(chance) {
            let _ = write!(metadata, ", {}", dice.pick(spellings));
        }
    }
    metadata
}

fn body(dice: &mut Dice, kind: &str) -> String {
    let other = dice.pick(&NAMES);
    match kind {
        "Deployment" | "StatefulSet" => {
            let more = dice.pick(&[
                "",
                ", replicas: 1",
                ", replicas: null",
                ", selector: {matchLabels: {app: x}}",
                ", strategy: {type: Recreate, $patch: replace}",
                ", serviceName: a, volumeClaimTemplates: [{metadata: {name: v}}]",
            ]);
            format!("spec: {{template: {{spec: {}}}{more}}}", pod(dice))
        }
        "CronJob" => format!(
            "spec: {{jobTemplate: {{spec: {{template: {{spec: {}}}}}}}}}",
            pod(dice)
        ),
        "Pod" => format!("spec: {}", pod(dice)),
        "Service" => format!(
            "spec: {{selector: {}, ports: [{}]}}",
            dice.pick(&["null", "{a: b}"]),
            dice.several(1, 2, port)
        ),
        "ConfigMap" => format!(
            "data: {{k: {}, j: {}}}",
            dice.pick(&SCALARS),
            dice.pick(&SCALARS)
        ),
        "Secret" => "stringData: {k: x}".to_owned(),
        "Thing" => format!(
            "spec: {{l: [{{name: a, x: {}}}, {}], m: {{a: {}, b: {}}}}}",
            dice.pick(&SCALARS),
            container(dice),
            dice.pick(&SCALARS),
            dice.pick(&SCALARS)
        ),
        "RoleBinding" => format!(
            "roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {other}}}\nsubjects: [{{kind: ServiceAccount, name: {}{}}}]",
            dice.pick(&["a", "b", "default"]),
            dice.pick(&["", ", namespace: s", ", namespace: default"])
        ),
        "Ingress" => format!(
            "spec: {{tls: [{{secretName: {other}}}], rules: [{{host: h.x.dev, http: {{paths: [{{backend: {{service: {{name: a}}}}}}]}}}}]}}"
        ),
        "HorizontalPodAutoscaler" => format!(
            "spec: {{scaleTargetRef: {{kind: Deployment, name: {other}}}, metrics: [{{type: Resource}}]}}"
        ),
        _ => String::new(),
    }
}

fn pod(dice: &mut Dice) -> String {
    let mut text = format!("containers: [{}]", dice.several(0, 3, container));
    let extras: [(usize, &[&str]); 5] = [
        (25, &["initContainers: [{name: a, image: nginx}]"]),
        (
            35,
            &[
                "volumes: [{name: v, emptyDir: {}}, {name: w, configMap: {name: g}}]",
                "volumes: [{name: v, emptyDir: null, secret: {secretName: g}}]",
                "volumes: [{name: v, $patch: delete}]",
            ],
        ),
        (30, &["serviceAccountName: a", "serviceAccountName: b"]),
        (20, &["tolerations: [{key: k, operator: Exists}]"]),
        (
            15,
            &[
                "nodeSelector: null",
                "nodeSelector: {a: b}",
                "nodeSelector: {$patch: replace, c: d}",
            ],
        ),
    ];
    for (chance, spellings) in extras {
        if dice.percent(chance) {
            let _ = write!(text, ", {}", dice.pick(spellings));
        }
    }
    format!("{{{text}}}")
}

fn container(dice: &mut Dice) -> String {
    let mut text = format!("name: {}", dice.pick(&NAMES));
    let extras: [(usize, &[&str]); 4] = [
        (
            80,
            &[
                "image: nginx",
                "image: \"nginx:1\"",
                "image: \"host:5/x@sha256:a\"",
                "image: app",
                "image: null",
            ],
        ),
        (20, &["args: [a, \"$(V)\"]", "args: [1, true]"]),
        (15, &["$patch: delete", "$patch: replace", "$patch: merge"]),
        (
            20,
            &[
                "volumeMounts: [{name: v, mountPath: /x}]",
                "volumeMounts: [{name: v, mountPath: /z}]",
            ],
        ),
    ];
    for (chance, spellings) in extras {
        if dice.percent(chance) {
            let _ = write!(text, ", {}", dice.pick(spellings));
        }
    }
    if dice.percent(40) {
        let _ = write!(text, ", env: [{}]", dice.several(0, 3, variable));
    }
    if dice.percent(40) {
        let _ = write!(text, ", ports: [{}]", dice.several(0, 3, container_port));
    }
    format!("{{{text}}}")
}

fn variable(dice: &mut Dice) -> String {
    let name = dice.pick(&["A", "B"]);
    if dice.percent(60) {
        format!("{{name: {name}, value: {}}}", dice.pick(&SCALARS))
    } else {
        format!("{{name: {name}, valueFrom: {{configMapKeyRef: {{name: g, key: k}}}}}}")
    }
}

fn port(dice: &mut Dice) -> String {
    let more = dice.pick(&["", ", protocol: TCP", ", name: w"]);
    format!("{{port: {}{more}}}", dice.pick(&["80", "53"]))
}

fn container_port(dice: &mut Dice) -> String {
    let more = dice.pick(&["", ", protocol: TCP", ", protocol: UDP", ", name: w"]);
    format!("{{containerPort: {}{more}}}", dice.pick(&["80", "53"]))
}

fn selector(dice: &mut Dice) -> String {
    let parts: [(usize, &[&str]); 6] = [
        (
            60,
            &[
                "kind: Deployment",
                "kind: \".*Set\"",
                "kind: \"ConfigMap|Secret\"",
                "kind: Thing",
            ],
        ),
        (50, &["name: a", "name: \"a|b\"", "name: \"p-.*\""]),
        (10, &["namespace: s", "namespace: default"]),
        (
            15,
            &[
                "labelSelector: app=a",
                "labelSelector: \"app in (a,b)\"",
                "labelSelector: \"!app\"",
            ],
        ),
        (10, &["annotationSelector: k=x"]),
        (10, &["group: apps", "version: v1"]),
    ];
    let mut text = Vec::new();
    for (chance, spellings) in parts {
        if dice.percent(chance) {
            text.push(dice.pick(spellings));
        }
    }
    format!("{{{}}}", text.join(", "))
}

fn operation(dice: &mut Dice) -> String {
    if dice.percent(70) {
        let value = dice.pick(&["{a: b}", "{a: null}", "null", "{b: x1, c: 5}"]);
        return format!("{{op: add, path: /metadata/annotations, value: {value}}}");
    }
    let path = dice.pick(&[
        "/metadata/labels/z",
        "/spec/replicas",
        "/data/k",
        "/spec/template/spec/containers/0/image",
        "/spec/containers/-",
        "/metadata/name",
        "/spec/l/0",
        "/metadata/namespace",
    ]);
    match dice.pick(&["add", "replace", "remove", "test", "copy", "move"]) {
        "remove" => format!("{{op: remove, path: {path}}}"),
        moving @ ("copy" | "move") => {
            format!("{{op: {moving}, from: {path}, path: /metadata/labels/moved}}")
        }
        other => format!(
            "{{op: {other}, path: {path}, value: {}}}",
            dice.pick(&SCALARS)
        ),
    }
}
