//! Many small packs made into one: every fetch with news leaves a pack, and each of them is looked into for each object.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use git2::{Oid, Repository};

/// Packs that a mirror may have before the small ones are put together.
const MAX_PACKS: usize = 32;
/// How long a pack stays after its content went into another: whoever began to read from it has ended by then.
const GRACE: Duration = Duration::from_secs(600);
/// Ending of the list of packs that one pack took the place of.
const REPLACES: &str = "replaces";

/// Puts the small packs of a mirror together where there are many; the largest, which is as large as the repository was at first,
/// stays. Nothing is lost when this is killed: a pack goes only after another has its content.
pub(super) fn repack(repository: &Repository) -> Result<(), Box<dyn std::error::Error>> {
    let folder = repository.path().join("objects/pack");
    remove_replaced(&folder)?;
    let mut packs = with_ending(&folder, "pack")?;
    if packs.len() <= MAX_PACKS {
        return Ok(());
    }
    packs.sort_by_key(|it| fs::metadata(it).map_or(0, |it| it.len()));
    packs.pop();
    let mut builder = repository.packbuilder()?;
    for pack in &packs {
        for id in objects(&pack.with_extension("idx"))? {
            builder.insert_object(id, None)?;
        }
    }
    builder.write(&folder, 0)?;
    let name = builder.name()?.ok_or("the new pack has no name")?;
    let made = folder.join(format!("pack-{name}.pack"));
    let replaced = packs.iter().filter(|it| **it != made);
    let names: Vec<String> = replaced
        .filter_map(|it| Some(it.file_stem()?.to_str()?.to_owned()))
        .collect();
    fs::write(made.with_extension(REPLACES), names.join("\n"))?;
    tracing::info!(mirror = %repository.path().display(), packs = names.len(), "packs are put together");
    Ok(())
}

/// Removes packs whose content has been in another for a while.
fn remove_replaced(folder: &Path) -> io::Result<()> {
    for list in with_ending(folder, REPLACES)? {
        let age = SystemTime::now().duration_since(fs::metadata(&list)?.modified()?);
        if age.is_ok_and(|it| it < GRACE) {
            continue;
        }
        for name in fs::read_to_string(&list)?.lines() {
            // Without its index nobody finds the pack; so that goes first.
            for ending in ["idx", "pack"] {
                match fs::remove_file(folder.join(name).with_extension(ending)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        fs::remove_file(&list)?;
    }
    Ok(())
}

fn with_ending(folder: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.map(|it| it.map(|it| it.path()));
    let paths: Vec<PathBuf> = paths.collect::<io::Result<_>>()?;
    let is_one = |it: &PathBuf| it.extension().is_some_and(|it| it == ending);
    Ok(paths.into_iter().filter(is_one).collect())
}

/// The objects of a pack, from its index (version 2: a head of 8 bytes, 256 counts of 4, then the sorted ids of 20).
fn objects(index: &Path) -> Result<Vec<Oid>, Box<dyn std::error::Error>> {
    const IDS: usize = 8 + 256 * 4;
    let bytes = fs::read(index)?;
    let unreadable = || format!("{} is no pack index of version 2", index.display());
    if !bytes.starts_with(b"\xfftOc\0\0\0\x02") {
        return Err(unreadable().into());
    }
    let count = bytes.get(IDS - 4..IDS).ok_or_else(unreadable)?;
    let count = u32::from_be_bytes(count.try_into()?) as usize;
    let ids = bytes.get(IDS..IDS + 20 * count).ok_or_else(unreadable)?;
    Ok(ids
        .chunks_exact(20)
        .map(Oid::from_bytes)
        .collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository of which each of some objects is in a pack of its own.
    fn packed(folder: &Path, count: usize) -> (Repository, Vec<Oid>) {
        let repository = Repository::init_bare(folder).unwrap();
        let objects: Vec<Oid> = (0..count)
            .map(|at| {
                let loose = repository.blob(format!("content {at}").as_bytes()).unwrap();
                let mut builder = repository.packbuilder().unwrap();
                builder.insert_object(loose, None).unwrap();
                builder.write(&folder.join("objects/pack"), 0).unwrap();
                let name = loose.to_string();
                fs::remove_file(folder.join(format!("objects/{}/{}", &name[..2], &name[2..])))
                    .unwrap();
                loose
            })
            .collect();
        (repository, objects)
    }

    fn packs(folder: &Path) -> usize {
        with_ending(&folder.join("objects/pack"), "pack")
            .unwrap()
            .len()
    }

    fn have_passed(folder: &Path) {
        for list in with_ending(&folder.join("objects/pack"), REPLACES).unwrap() {
            let file = fs::File::options().append(true).open(list).unwrap();
            file.set_modified(SystemTime::now() - 2 * GRACE).unwrap();
        }
    }

    #[test]
    fn many_packs_become_two_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (repository, objects) = packed(folder.path(), MAX_PACKS + 8);
        repack(&repository).unwrap();
        assert_eq!(
            packs(folder.path()),
            MAX_PACKS + 9,
            "readers may still need them"
        );
        have_passed(folder.path());
        repack(&repository).unwrap();
        assert_eq!(packs(folder.path()), 2);
        let anew = Repository::open_bare(folder.path()).unwrap();
        for id in &objects {
            assert!(anew.find_blob(*id).is_ok());
            assert!(
                repository.find_blob(*id).is_ok(),
                "one that was open before"
            );
        }
    }

    #[test]
    fn few_packs_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (repository, _) = packed(folder.path(), 3);
        repack(&repository).unwrap();
        assert_eq!(packs(folder.path()), 3);
    }

    #[test]
    fn a_damaged_index_stops_it_and_removes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (repository, _) = packed(folder.path(), MAX_PACKS + 8);
        let index = with_ending(&folder.path().join("objects/pack"), "idx").unwrap();
        fs::set_permissions(
            &index[0],
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )
        .unwrap();
        fs::write(&index[0], b"nothing").unwrap();
        let error = repack(&repository).unwrap_err().to_string();
        assert!(error.contains("no pack index"), "{error}");
        assert_eq!(packs(folder.path()), MAX_PACKS + 8);
    }
}
