//! What to try next: lines that can be pasted into another terminal as they are.

use std::{env, fmt, path::Path};

use tokio::process::Command;

/// What this machine has.
pub(super) struct Tools {
    /// How to call this program.
    capstan: Option<String>,
    kubectl: bool,
    /// Git knows who commits.
    git_identity: bool,
}

impl Tools {
    /// Looks for it.
    pub(super) async fn find() -> Self {
        let own = env::current_exe().ok();
        let on_path = |name: &str| {
            let folders = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&folders)
                .map(|it| it.join(name))
                .find(|it| it.is_file())
        };
        let same = on_path("capstan").and_then(|it| it.canonicalize().ok()) == own;
        let email = Command::new("git")
            .args(["config", "user.email"])
            .output()
            .await;
        Self {
            capstan: own.filter(|_| !same).map(|it| it.display().to_string()),
            kubectl: on_path("kubectl").is_some(),
            git_identity: email.is_ok_and(|it| it.status.success()),
        }
    }
}

/// Where everything is.
pub(super) struct Suggestions<'a> {
    pub(super) api: &'a str,
    pub(super) code: &'a str,
    pub(super) token: &'a Path,
    pub(super) repository: &'a str,
    pub(super) kubeconfig: &'a Path,
    pub(super) tools: Tools,
}

impl fmt::Display for Suggestions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            api,
            code,
            token,
            repository,
            kubeconfig,
            tools,
        } = self;
        writeln!(f, "\nThe console: {api}/login?code={code}\n")?;
        writeln!(f, "In another terminal:")?;
        if let Some(program) = &tools.capstan {
            writeln!(f, "  alias capstan='{program}'")?;
        }
        writeln!(
            f,
            "  export CAPSTAN_HUB={api} CAPSTAN_TOKEN_FILE='{}'",
            token.display()
        )?;
        writeln!(f, "  capstan get units\n")?;
        let who = if tools.git_identity {
            ""
        } else {
            " -c user.name=demo -c user.email=demo@localhost"
        };
        writeln!(
            f,
            "A commit, which reaches dev and staging by itself, and prod when you promote it:\n  \
             git clone {repository} fleet && cd fleet\n  \
             sed -i.bak 's/newTag: \"1.0\"/newTag: \"1.1\"/' apps/shop/base/kustomization.yaml\n  \
             git{who} commit -am 'Ship 1.1' && git push\n  \
             capstan wait --cluster staging --revision $(git rev-parse HEAD)\n  \
             capstan promote platform prod --reason 'tried in staging'\n  \
             capstan wait --cluster prod --revision $(git rev-parse HEAD)\n"
        )?;
        writeln!(
            f,
            "And back, which stays so until it is released:\n  \
             capstan rollback platform prod --reason 'only trying'\n  \
             capstan release platform prod\n"
        )?;
        writeln!(f, "A change by hand, which is put back at once:")?;
        let kubeconfig = kubeconfig.display();
        if tools.kubectl {
            writeln!(
                f,
                "  kubectl --kubeconfig '{kubeconfig}' -n shop scale deployment web --replicas=9"
            )?;
        } else {
            writeln!(
                f,
                "  kubectl --kubeconfig '{kubeconfig}' -n shop scale deployment web --replicas=9     # install kubectl first"
            )?;
        }
        writeln!(f, "  sleep 1; capstan events --cluster dev\n")?;
        write!(f, "Ctrl-C stops and removes everything.")
    }
}
