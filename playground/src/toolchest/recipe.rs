//! What each tool is made from: the pinned module, the package in it, and the linker flags that stamp its version.

use std::fmt;

use sha2::{Digest, Sha256};

/// A tool that can be had from a [`Toolchest`](super::Toolchest).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tool {
    /// `kustomize`, the command.
    Kustomize,
    /// `helm` of the 3.x line.
    Helm3,
    /// `helm` of the 4.x line.
    Helm4,
    /// `etcd`, one node.
    Etcd,
    /// `kube-apiserver`.
    KubeApiserver,
    /// `kube-controller-manager`.
    KubeControllerManager,
    /// `kube-scheduler`.
    KubeScheduler,
    /// `kwok`: plays the kubelets, so that pods become ready without containers.
    Kwok,
}

/// The Kubernetes version of the control plane.
pub(crate) const KUBERNETES_VERSION: &str = "v1.36.3";

/// How one tool is built.
pub(super) struct Recipe {
    /// The Go package of its `main`.
    pub(super) package: &'static str,
    /// The module's pinned versions.
    pub(super) go_mod: &'static str,
    /// And their checksums.
    pub(super) go_sum: &'static str,
    /// `-X` flags. Without a stamped version the API server reports v0.0.0, and Helm an old Kubernetes.
    pub(super) ldflags: String,
}

/// The two files of a family's module, kept in `playground/go/`.
macro_rules! module {
    ($family:literal) => {
        (
            include_str!(concat!("../../go/", $family, "/go.mod")),
            include_str!(concat!("../../go/", $family, "/go.sum")),
        )
    };
}

impl Tool {
    /// Every tool.
    pub const ALL: [Self; 8] = [
        Self::Kustomize,
        Self::Helm3,
        Self::Helm4,
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kwok,
    ];

    /// Its name, in the cache and, for control-plane binaries, in `KUBEBUILDER_ASSETS`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kustomize => "kustomize",
            Self::Helm3 => "helm3",
            Self::Helm4 => "helm4",
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kwok => "kwok",
        }
    }

    /// Whether it belongs to a control plane, and so may be taken from `KUBEBUILDER_ASSETS`.
    pub(super) fn is_control_plane(self) -> bool {
        matches!(
            self,
            Self::Etcd | Self::KubeApiserver | Self::KubeControllerManager | Self::KubeScheduler
        )
    }

    pub(super) fn recipe(self) -> Recipe {
        let ((go_mod, go_sum), package, stamps) = match self {
            Self::Kustomize => (
                module!("kustomize"),
                "sigs.k8s.io/kustomize/kustomize/v5",
                vec![("sigs.k8s.io/kustomize/api/provenance.version", "v5.8.1")],
            ),
            Self::Helm3 => (
                module!("helm3"),
                "helm.sh/helm/v3/cmd/helm",
                HELM3_STAMPS.to_vec(),
            ),
            Self::Helm4 => (
                module!("helm4"),
                "helm.sh/helm/v4/cmd/helm",
                vec![("helm.sh/helm/v4/internal/version.version", "v4.3.1")],
            ),
            Self::Etcd => (module!("etcd"), "go.etcd.io/etcd/server/v3", vec![]),
            Self::KubeApiserver => (
                module!("kubernetes"),
                "k8s.io/kubernetes/cmd/kube-apiserver",
                KUBERNETES_STAMPS.to_vec(),
            ),
            Self::KubeControllerManager => (
                module!("kubernetes"),
                "k8s.io/kubernetes/cmd/kube-controller-manager",
                KUBERNETES_STAMPS.to_vec(),
            ),
            Self::KubeScheduler => (
                module!("kubernetes"),
                "k8s.io/kubernetes/cmd/kube-scheduler",
                KUBERNETES_STAMPS.to_vec(),
            ),
            Self::Kwok => (
                module!("kwok"),
                "sigs.k8s.io/kwok/cmd/kwok",
                vec![("sigs.k8s.io/kwok/pkg/consts.Version", "v0.8.0")],
            ),
        };
        let stamps: String = stamps
            .iter()
            .map(|(name, value)| format!(" -X {name}={value}"))
            .collect();
        Recipe {
            package,
            go_mod,
            go_sum,
            ldflags: format!("-s -w{stamps}"),
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// As Helm's own Makefile stamps them: the Kubernetes version is that of the client-go in `go.mod`.
const HELM3_STAMPS: &[(&str, &str)] = &[
    ("helm.sh/helm/v3/internal/version.version", "v3.22.0"),
    ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor", "1"),
    ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor", "37"),
    ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor", "1"),
    ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor", "37"),
];

const KUBERNETES_STAMPS: &[(&str, &str)] = &[
    (
        "k8s.io/component-base/version.gitVersion",
        KUBERNETES_VERSION,
    ),
    ("k8s.io/component-base/version.gitMajor", "1"),
    ("k8s.io/component-base/version.gitMinor", "36"),
    ("k8s.io/component-base/version.gitTreeState", "clean"),
];

impl Recipe {
    /// Names everything that goes into the binary, in 12 hexadecimal digits.
    pub(super) fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.package, self.go_mod, self.go_sum, &self.ldflags] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize()
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
