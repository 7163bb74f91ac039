//! Gets the content that a desired state names and the agent lacks, and keeps both.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use capstan_core::{Digest, Entry};
use capstan_proto::{
    MAX_BLOBS_PER_REQUEST,
    v1::{GetBlobsRequest, agent_link_client::AgentLinkClient},
};
use tonic::transport::Channel;

use crate::held::{Held, HeldState, is_content_of};

/// Longest content that is taken.
const MAX_BLOB_BYTES: usize = 16 << 20;

/// Fetches what is missing for `next`, and keeps it.
pub(super) async fn fetch(
    mut client: AgentLinkClient<Channel>,
    held: &Held,
    next: &HeldState,
) -> anyhow::Result<()> {
    let units = next.state.units.values();
    let missing: BTreeMap<Digest, &Entry> = units
        .flat_map(|it| &it.entries)
        .filter(|it| !held.has(&it.digest))
        .map(|it| (it.digest, it))
        .collect();
    let digests: Vec<Digest> = missing.keys().copied().collect();
    for part in digests.chunks(MAX_BLOBS_PER_REQUEST) {
        fetch_part(&mut client, held, next, &missing, part).await?;
    }
    held.keep(next)
        .context("the state folder cannot be written")
}

async fn fetch_part(
    client: &mut AgentLinkClient<Channel>,
    held: &Held,
    next: &HeldState,
    missing: &BTreeMap<Digest, &Entry>,
    part: &[Digest],
) -> anyhow::Result<()> {
    let digests = part
        .iter()
        .map(|it| it.as_bytes().to_vec().into())
        .collect();
    let answer = client.get_blobs(GetBlobsRequest { digests }).await?;
    let mut stream = answer.into_inner();
    let mut got = 0;
    let mut current: Option<(Digest, Vec<u8>)> = None;
    while let Some(chunk) = stream.message().await? {
        if !chunk.digest.is_empty() {
            ensure!(current.is_none(), "a blob ended in the middle");
            current = Some((Digest::from_bytes(&chunk.digest)?, Vec::new()));
        }
        let Some((digest, bytes)) = &mut current else {
            bail!("a piece of no blob");
        };
        bytes.extend_from_slice(&chunk.data);
        ensure!(
            bytes.len() <= MAX_BLOB_BYTES,
            "blob {digest} has more than {MAX_BLOB_BYTES} bytes"
        );
        if !chunk.last {
            continue;
        }
        let entry = missing
            .get(digest)
            .with_context(|| format!("blob {digest} was not asked for"))?;
        ensure!(
            is_content_of(entry, &next.digest_key, bytes),
            "the content of {} is not what its digest {digest} names",
            entry.key
        );
        held.put(digest, bytes)
            .context("the state folder cannot be written")?;
        current = None;
        got += 1;
    }
    ensure!(
        got == part.len(),
        "the hub gave {got} of {} blobs",
        part.len()
    );
    Ok(())
}
