//! What the cluster is: its version and what it serves.

use crate::HelmVersion;
use crate::error::{Error, quoted};

/// A version of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeVersion {
    /// As it was given, with `v` in front.
    full: String,
    /// Its numbers alone, with `v` in front.
    normalized: String,
    major: String,
    minor: String,
}

impl KubeVersion {
    /// Reads a version such as `1.33`, `v1.33.4` or `v1.33.4-gke.1245000`.
    ///
    /// # Errors
    /// When it has no two numbers.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let error = |reason: String| Error::InvalidKubeVersion {
            version: text.to_owned(),
            reason,
        };
        let trimmed = text.trim_start();
        let digits = trimmed.strip_prefix('v').unwrap_or(trimmed);
        let mut numbers: Vec<&str> = Vec::new();
        let mut rest = digits;
        loop {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            if end == 0 {
                break;
            }
            numbers.push(&rest[..end]);
            match rest[end..].strip_prefix('.') {
                Some(after) => rest = after,
                None => break,
            }
        }
        match numbers.len() {
            0 => {
                return Err(error(format!(
                    "could not parse {} as version",
                    quoted(text)
                )));
            }
            1 => return Err(error(format!("illegal version string {}", quoted(text)))),
            _ => {}
        }
        let plain = |number: &str| {
            number
                .parse::<u64>()
                .map(|number| number.to_string())
                .map_err(|_| error(format!("illegal number {number:?}")))
        };
        let numbers = numbers
            .into_iter()
            .map(plain)
            .collect::<Result<Vec<_>, _>>()?;
        let full = if text.starts_with('v') {
            text.to_owned()
        } else {
            format!("v{text}")
        };
        Ok(Self {
            full,
            normalized: format!("v{}", numbers.join(".")),
            major: numbers[0].clone(),
            minor: numbers[1].clone(),
        })
    }

    /// The version that templates see: Helm 3 only keeps the numbers.
    #[must_use]
    pub fn shown(&self, version: HelmVersion) -> &str {
        match version {
            HelmVersion::V3 => &self.normalized,
            HelmVersion::V4 => &self.full,
        }
    }

    /// The numbers alone, which a chart's own constraint is held against.
    #[must_use]
    pub fn normalized(&self) -> &str {
        &self.normalized
    }

    /// First number.
    #[must_use]
    pub fn major(&self) -> &str {
        &self.major
    }

    /// Second number.
    #[must_use]
    pub fn minor(&self) -> &str {
        &self.minor
    }
}

/// What a chart sees as `.Capabilities`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The cluster's version.
    pub kube_version: KubeVersion,
    /// What it serves: `GROUP/VERSION`, and from a live cluster also `GROUP/VERSION/KIND`.
    pub api_versions: Vec<String>,
}

impl Facts {
    /// What Helm takes for granted without a cluster.
    #[must_use]
    pub fn offline() -> Self {
        let kube_version = KubeVersion::parse(OFFLINE_KUBE_VERSION).expect("the version is fixed");
        Self {
            kube_version,
            api_versions: OFFLINE_API_VERSIONS
                .into_iter()
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// The Kubernetes release that Helm 3.22 and 4.3 are built with.
const OFFLINE_KUBE_VERSION: &str = "v1.37.0";

/// What those releases know without a cluster: also what clusters no longer serve, and no kinds.
const OFFLINE_API_VERSIONS: [&str; 57] = [
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "lifecycle.k8s.io/v1alpha1",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_helm_reads_them() {
        for (text, v3, v4) in [
            ("1.33", "v1.33", "v1.33"),
            ("v1.33.4", "v1.33.4", "v1.33.4"),
            ("v1.33.4-gke.1245000", "v1.33.4", "v1.33.4-gke.1245000"),
            ("1.33.4+k3s1", "v1.33.4", "v1.33.4+k3s1"),
        ] {
            let version = KubeVersion::parse(text).unwrap();
            assert_eq!(
                (
                    version.shown(HelmVersion::V3),
                    version.shown(HelmVersion::V4)
                ),
                (v3, v4)
            );
            assert_eq!((version.major(), version.minor()), ("1", "33"));
        }
        assert_eq!(
            KubeVersion::parse("1").unwrap_err().to_string(),
            "invalid kube version '1': illegal version string \"1\""
        );
        assert_eq!(
            KubeVersion::parse("x").unwrap_err().to_string(),
            "invalid kube version 'x': could not parse \"x\" as version"
        );
    }
}
