//! Chart archives: gzip and tar read in memory, within limits, without links and without a way out of the chart's folder.
//!
//! Only what chart archives use is read: regular files and folders, long names in GNU's and PAX's form. Anything else that could have an
//! effect is refused.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;

use super::files::{Files, strip_bom};

/// Uncompressed size of an archive with those packed inside it, in bytes: Helm's own limit for one archive.
pub const MAX_ARCHIVE_BYTES: u64 = 100 * 1024 * 1024;
/// Entries of an archive with those packed inside it: the largest public charts have a few thousand.
pub const MAX_ARCHIVE_ENTRIES: usize = 20_000;

/// A tar block.
const BLOCK_BYTES: usize = 512;
/// A PAX header or long name, in bytes: names are at most a few hundred bytes long.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Why an archive is refused. Where Helm has the check too, the words are Helm's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The bytes are not gzip, or they are damaged.
    #[error("chart archive cannot be unpacked: {0}; pack it again with `helm package`")]
    Gzip(String),
    /// The bytes inside are not tar, or they end early.
    #[error("chart archive has a damaged tar entry: {0}")]
    Tar(&'static str),
    /// More than [`MAX_ARCHIVE_BYTES`].
    #[error("decompressed chart is larger than the maximum size {MAX_ARCHIVE_BYTES}")]
    TooLarge,
    /// More than [`MAX_ARCHIVE_ENTRIES`].
    #[error("chart archive has more than {MAX_ARCHIVE_ENTRIES} entries")]
    TooManyEntries,
    /// A symbolic or hard link, a device or the like.
    #[error(
        "chart archive contains {0:?}, which is a link or a special file; only files and folders are taken"
    )]
    Special(String),
    /// A name that starts with `/`.
    #[error("chart illegally contains absolute paths")]
    Absolute,
    /// A name without the chart's folder in front.
    #[error("chart illegally contains content outside the base directory: {0:?}")]
    Outside(String),
    /// A name with `..` in it.
    #[error("chart illegally references parent directory")]
    Parent,
    /// A name such as `c:/x`.
    #[error("chart contains illegally named files")]
    Drive,
    /// `Chart.yaml` is not in a folder.
    #[error("chart yaml not in base directory")]
    ChartYamlAtTop,
    /// Nothing in it.
    #[error("no files in chart archive")]
    Empty,
}

/// What may still be unpacked for one chart. Archives inside archives share it: each alone could be a small one that grows.
pub(super) struct Budget {
    bytes: u64,
    entries: usize,
    /// Bytes of the tars, with headers, padding and what no file is made of.
    tar_bytes: u64,
}

impl Budget {
    /// All of it.
    pub(super) fn new() -> Self {
        Self::of(MAX_ARCHIVE_BYTES, MAX_ARCHIVE_ENTRIES)
    }

    fn of(bytes: u64, entries: usize) -> Self {
        Self {
            bytes,
            entries,
            // Headers and padding take room besides the files; an entry has at most a header and a padded block.
            tar_bytes: bytes + (2 * BLOCK_BYTES * entries) as u64,
        }
    }
}

/// The files of a packed chart, without the folder that all of them are in. Of entries with the same name the last counts, as in Helm.
pub(super) fn unpack(bytes: &[u8], budget: &mut Budget) -> Result<Files, ArchiveError> {
    let mut tar = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(budget.tar_bytes + 1)
        .read_to_end(&mut tar)
        .map_err(|error| ArchiveError::Gzip(error.to_string()))?;
    budget.tar_bytes = budget
        .tar_bytes
        .checked_sub(tar.len() as u64)
        .ok_or(ArchiveError::TooLarge)?;
    let mut files = Files::new();
    let mut reader = TarReader { rest: &tar };
    while let Some(entry) = reader.next()? {
        budget.entries = budget
            .entries
            .checked_sub(1)
            .ok_or(ArchiveError::TooManyEntries)?;
        if entry.is_folder {
            continue;
        }
        let name = checked_name(&entry.name)?;
        budget.bytes = budget
            .bytes
            .checked_sub(entry.data.len() as u64)
            .filter(|left| *left > 0)
            .ok_or(ArchiveError::TooLarge)?;
        files.insert(name, strip_bom(entry.data).into());
    }
    if files.is_empty() {
        Err(ArchiveError::Empty)
    } else {
        Ok(files)
    }
}

/// The path inside the chart, or why it must not be one.
fn checked_name(name: &str) -> Result<String, ArchiveError> {
    // Archives made on Windows separate with backslashes.
    let delimiter = if name.contains('\\') { '\\' } else { '/' };
    let (first, rest) = name.split_once(delimiter).unwrap_or((name, ""));
    let rest = rest.replace(delimiter, "/");
    if rest.starts_with('/') {
        return Err(ArchiveError::Absolute);
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Err(ArchiveError::Parent),
            ".." => {}
            _ => parts.push(part),
        }
    }
    let path = parts.join("/");
    if path.is_empty() {
        return Err(if first == "Chart.yaml" {
            ArchiveError::ChartYamlAtTop
        } else {
            ArchiveError::Outside(name.to_owned())
        });
    }
    if path.starts_with("..") {
        return Err(ArchiveError::Parent);
    }
    let mut bytes = path.bytes();
    if bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.next() == Some(b':')
        && bytes.next() == Some(b'/')
    {
        return Err(ArchiveError::Drive);
    }
    Ok(path)
}

struct Entry<'a> {
    name: String,
    data: &'a [u8],
    is_folder: bool,
}

struct TarReader<'a> {
    rest: &'a [u8],
}

impl<'a> TarReader<'a> {
    /// The next file or folder; headers that only describe the next entry are applied to it.
    fn next(&mut self) -> Result<Option<Entry<'a>>, ArchiveError> {
        let mut long_name: Option<String> = None;
        loop {
            let Some(header) = self.take(BLOCK_BYTES) else {
                return Ok(None);
            };
            if header.iter().all(|&b| b == 0) {
                return Ok(None);
            }
            check_sum(header)?;
            let size = number(&header[124..136])?;
            let data = self.data(size)?;
            match header[156] {
                b'L' => long_name = Some(c_string(bounded(data)?)?),
                b'x' => long_name = pax_path(bounded(data)?)?.or(long_name),
                b'g' | b'K' => {}
                kind @ (b'0' | 0 | b'7' | b'5') => {
                    let name = match long_name {
                        Some(name) => name,
                        None => header_name(header)?,
                    };
                    let is_folder = kind == b'5' || name.ends_with('/');
                    return Ok(Some(Entry {
                        name,
                        data,
                        is_folder,
                    }));
                }
                _ => {
                    return Err(ArchiveError::Special(
                        long_name.map_or_else(|| header_name(header), Ok)?,
                    ));
                }
            }
        }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// The entry's bytes; what pads them to a whole block is dropped.
    fn data(&mut self, size: u64) -> Result<&'a [u8], ArchiveError> {
        let size = usize::try_from(size).map_err(|_| ArchiveError::TooLarge)?;
        let data = self
            .take(size)
            .ok_or(ArchiveError::Tar("it ends before its data"))?;
        let padding = (BLOCK_BYTES - size % BLOCK_BYTES) % BLOCK_BYTES;
        self.rest = self.rest.get(padding..).unwrap_or_default();
        Ok(data)
    }
}

fn bounded(data: &[u8]) -> Result<&[u8], ArchiveError> {
    if data.len() > MAX_HEADER_BYTES {
        Err(ArchiveError::Tar("its name is too long"))
    } else {
        Ok(data)
    }
}

fn c_string(bytes: &[u8]) -> Result<String, ArchiveError> {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8(bytes[..end].to_vec()).map_err(|_| ArchiveError::Tar("its name is not UTF-8"))
}

fn header_name(header: &[u8]) -> Result<String, ArchiveError> {
    let name = c_string(&header[..100])?;
    let prefix = if &header[257..262] == b"ustar" && header[262] == 0 {
        c_string(&header[345..500])?
    } else {
        String::new()
    };
    Ok(if prefix.is_empty() {
        name
    } else {
        format!("{prefix}/{name}")
    })
}

/// The sum over the header, its own field taken as spaces. Old writers summed signed bytes.
fn check_sum(header: &[u8]) -> Result<(), ArchiveError> {
    let stated = octal(&header[148..156])?;
    let bytes = || {
        header
            .iter()
            .enumerate()
            .map(|(at, &b)| if (148..156).contains(&at) { b' ' } else { b })
    };
    let unsigned: u64 = bytes().map(u64::from).sum();
    let signed: i64 = bytes().map(|b| i64::from(b.cast_signed())).sum();
    let matches = stated == unsigned || i64::try_from(stated) == Ok(signed);
    if matches {
        Ok(())
    } else {
        Err(ArchiveError::Tar("its checksum is wrong"))
    }
}

const BAD_NUMBER: ArchiveError = ArchiveError::Tar("it has a bad number");

/// A number in octal text, or in GNU's binary form: big-endian after a first bit that is set. Negative ones are refused.
fn number(field: &[u8]) -> Result<u64, ArchiveError> {
    let Some((&first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) else {
        return octal(field);
    };
    if first & 0x40 != 0 {
        return Err(BAD_NUMBER);
    }
    rest.iter()
        .try_fold(u64::from(first & 0x3f), |value, &byte| {
            value
                .checked_mul(256)
                .map(|value| value | u64::from(byte))
                .ok_or(BAD_NUMBER)
        })
}

/// A number in octal text with spaces or NULs around it; no text at all is zero, as in Go's reader.
fn octal(field: &[u8]) -> Result<u64, ArchiveError> {
    let is_padding = |b: &u8| matches!(b, b' ' | 0);
    let text = field
        .iter()
        .skip_while(|b| is_padding(b))
        .take_while(|&&b| b != 0);
    let digits: Vec<u8> = text.copied().collect();
    digits
        .trim_ascii_end()
        .iter()
        .try_fold(0_u64, |value, &digit| {
            let digit = digit
                .checked_sub(b'0')
                .filter(|digit| *digit < 8)
                .ok_or(BAD_NUMBER)?;
            value
                .checked_mul(8)
                .and_then(|value| value.checked_add(u64::from(digit)))
                .ok_or(BAD_NUMBER)
        })
}

/// The `path` record of a PAX header: records are `LENGTH KEY=VALUE\n`.
fn pax_path(mut records: &[u8]) -> Result<Option<String>, ArchiveError> {
    const BAD: ArchiveError = ArchiveError::Tar("its PAX header is malformed");
    let mut path = None;
    while !records.is_empty() {
        let space = records.iter().position(|&b| b == b' ').ok_or(BAD)?;
        let length: usize = std::str::from_utf8(&records[..space])
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(BAD)?;
        let record = records.get(space + 1..length).ok_or(BAD)?;
        let (last, record) = record.split_last().ok_or(BAD)?;
        if *last != b'\n' {
            return Err(BAD);
        }
        if let Some(value) = record.strip_prefix(b"path=") {
            path = Some(String::from_utf8(value.to_vec()).map_err(|_| BAD)?);
        } else if record.starts_with(b"size=") {
            return Err(ArchiveError::Tar(
                "its size is in a PAX header, so it is far too large",
            ));
        }
        records = &records[length..];
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn header(name: &str, size: usize, kind: u8) -> Vec<u8> {
        let mut block = vec![0_u8; BLOCK_BYTES];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[148..156].fill(b' ');
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn entry(name: &str, data: &[u8], kind: u8) -> Vec<u8> {
        let mut bytes = header(name, data.len(), kind);
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack_entries(entries: &[Vec<u8>]) -> Result<Vec<(String, String)>, ArchiveError> {
        let files = unpack(&gzip(&entries.concat()), &mut Budget::new())?;
        Ok(files
            .iter()
            .map(|(name, data)| (name.clone(), String::from_utf8_lossy(data).into_owned()))
            .collect())
    }

    fn pair(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn files_lose_the_folder_and_the_byte_order_mark() {
        let entries = [
            entry("c/", b"", b'5'),
            entry("c/Chart.yaml", b"\xef\xbb\xbfname: c", b'0'),
            entry("c/./a//b", b"x", 0),
            vec![0; 1024],
        ];
        assert_eq!(
            unpack_entries(&entries),
            Ok(vec![pair("Chart.yaml", "name: c"), pair("a/b", "x")])
        );
    }

    #[test]
    fn long_names_come_from_gnu_and_pax_headers() {
        let long = format!("c/{}", "d/".repeat(80) + "f");
        let record = format!("path={long}\n");
        let length = record.len() + 4;
        let entries = [
            entry("././@LongLink", format!("{long}\0").as_bytes(), b'L'),
            entry("x", b"1", b'0'),
            entry("p", format!("{length} {record}").as_bytes(), b'x'),
            entry("y", b"2", b'0'),
        ];
        assert_eq!(unpack_entries(&entries), Ok(vec![pair(&long[2..], "2")]));
        let entries = [
            entry("././@LongLink", format!("{long}\0").as_bytes(), b'L'),
            entry("x", b"1", b'0'),
        ];
        assert_eq!(unpack_entries(&entries), Ok(vec![pair(&long[2..], "1")]));
    }

    #[test]
    fn numbers_are_octal_or_binary() {
        let bad = Err(BAD_NUMBER);
        for (field, expect) in [
            (&b"0000017\0"[..], Ok(15)),
            (b"   17 \0", Ok(15)),
            (b"17\0 9", Ok(15)),
            (b"\0\0\0", Ok(0)),
            (b"", Ok(0)),
            (b"1 7", bad.clone()),
            (b"18", bad.clone()),
            (b"7777777777777777777777", bad.clone()),
            (b"\x80\0\0\0\0\0\x01\x02", Ok(258)),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\x02", Ok(258)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", bad.clone()),
            (b"\xff\xff", bad),
        ] {
            assert_eq!(number(field), expect, "{field:?}");
        }
    }

    #[test]
    fn a_binary_checksum_is_refused() {
        let mut block = header("c/Chart.yaml", 0, b'0');
        block[148] = 0x80;
        assert_eq!(unpack_entries(&[block]), Err(BAD_NUMBER));
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for (name, expect) in [
            ("c/../../x", ArchiveError::Parent),
            ("c//x", ArchiveError::Absolute),
            ("x", ArchiveError::Outside("x".to_owned())),
            ("Chart.yaml", ArchiveError::ChartYamlAtTop),
            ("c\\c:\\x", ArchiveError::Drive),
            ("c/..x", ArchiveError::Parent),
        ] {
            assert_eq!(
                unpack_entries(&[entry(name, b"", b'0')]),
                Err(expect),
                "{name}"
            );
        }
    }

    #[test]
    fn links_and_damage_are_refused() {
        for kind in [b'1', b'2', b'3', b'4', b'6'] {
            assert_eq!(
                unpack_entries(&[entry("c/x", b"", kind)]),
                Err(ArchiveError::Special("c/x".to_owned()))
            );
        }
        let mut wrong = entry("c/x", b"", b'0');
        wrong[0] = b'd';
        assert_eq!(
            unpack_entries(&[wrong]),
            Err(ArchiveError::Tar("its checksum is wrong"))
        );
        assert_eq!(
            unpack_entries(&[header("c/x", 10, b'0')]),
            Err(ArchiveError::Tar("it ends before its data"))
        );
        assert_eq!(unpack_entries(&[vec![0; 1024]]), Err(ArchiveError::Empty));
        assert!(matches!(
            unpack(b"nothing", &mut Budget::new()),
            Err(ArchiveError::Gzip(_))
        ));
    }

    #[test]
    fn of_two_entries_with_one_name_the_last_counts() {
        let entries = [
            entry("c/values.yaml", b"a: 1", b'0'),
            entry("c/./values.yaml", b"b: 2", b'0'),
        ];
        assert_eq!(
            unpack_entries(&entries),
            Ok(vec![pair("values.yaml", "b: 2")])
        );
    }

    #[test]
    fn a_bomb_is_refused() {
        let within = |packed: &[u8], bytes: u64, entries: usize| {
            unpack(packed, &mut Budget::of(bytes, entries)).map(|files| files.len())
        };
        let packed = gzip(&entry("c/x", &vec![0_u8; 100_000], b'0'));
        assert_eq!(within(&packed, 100_000, 9), Err(ArchiveError::TooLarge));
        assert_eq!(within(&packed, 100_001, 9), Ok(1));
        // Many small entries are stopped by the size of the tar, before any is looked at.
        assert_eq!(
            within(&gzip(&vec![0; 2 * BLOCK_BYTES * 9 + 100_001]), 100_000, 9),
            Err(ArchiveError::TooLarge)
        );
        let many: Vec<u8> = (0..10)
            .flat_map(|at| entry(&format!("c/{at}"), b"", b'0'))
            .collect();
        assert_eq!(
            within(&gzip(&many), 100_000, 9),
            Err(ArchiveError::TooManyEntries)
        );
    }

    #[test]
    fn archives_share_what_may_be_unpacked() {
        let packed = gzip(&entry("c/x", &vec![0_u8; 40_000], b'0'));
        let mut budget = Budget::of(100_000, 9);
        assert!(unpack(&packed, &mut budget).is_ok());
        assert!(unpack(&packed, &mut budget).is_ok());
        assert_eq!(unpack(&packed, &mut budget), Err(ArchiveError::TooLarge));
        // What is in no file took as long to unpack.
        let idle = [entry("g", &vec![0; 40_000], b'g'), entry("c/x", b"x", b'0')].concat();
        let packed = gzip(&idle);
        let mut budget = Budget::of(100_000, 9);
        assert!(unpack(&packed, &mut budget).is_ok());
        assert!(unpack(&packed, &mut budget).is_ok());
        assert_eq!(unpack(&packed, &mut budget), Err(ArchiveError::TooLarge));
    }
}
