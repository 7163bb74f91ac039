//! The files of a chart in memory: path and bytes, in the order of the paths.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Paths inside a chart (`/` between segments, none in front) and what is there.
pub type Files = BTreeMap<String, Arc<[u8]>>;

/// The bytes without a UTF-8 byte order mark, as Helm reads every file of a chart.
pub(super) fn strip_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}
