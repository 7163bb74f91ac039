//! Serves one simulated cluster until standard input ends: `cargo run -p capstan-playground --example sim`.
//!
//! Prints a kubeconfig for an administrator, to try `kubectl` or any other client on it. `--bare` leaves out what a controller
//! manager does; `--user NAME:GROUP` prints a second one, for somebody without rights.

use std::io::{Read as _, Write as _};

use capstan_playground::sim::{SimCluster, SimOptions, User};

fn main() -> anyhow::Result<()> {
    let bare = std::env::args().any(|argument| argument == "--bare");
    let cluster = SimCluster::start(SimOptions {
        controllers: !bare,
        ..SimOptions::default()
    })?;
    let mut out = std::io::stdout();
    out.write_all(cluster.kubeconfig().as_bytes())?;
    if let Some((name, group)) = std::env::args()
        .skip_while(|a| a != "--user")
        .nth(1)
        .and_then(|u| u.split_once(':').map(|(n, g)| (n.to_owned(), g.to_owned())))
    {
        writeln!(out, "---")?;
        out.write_all(
            cluster
                .kubeconfig_for(User::new(&name, &[&group]))
                .as_bytes(),
        )?;
    }
    out.flush()?;
    // Whoever started this ends it by closing its standard input, or with Ctrl-C.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
