//! `helm template` as a program: `template CHART [KEY=VALUE]...`, for a folder or a packed chart.

#![allow(clippy::print_stdout, reason = "an example for the command line")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use capstan_helm::{Chart, Files, HelmVersion, Now, Secret, TemplateOptions, template};

/// The files below a folder, by their paths in it.
fn add_folder(files: &mut Files, folder: &Path, prefix: &str) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let inside = format!("{prefix}{name}");
        if path.is_dir() {
            add_folder(files, &path, &format!("{inside}/"))?;
        } else {
            files.insert(inside, Arc::from(fs::read(&path)?));
        }
    }
    Ok(())
}

fn load(path: &Path) -> Result<Chart, Box<dyn Error>> {
    if path.is_file() {
        return Ok(Chart::from_archive(&fs::read(path)?)?);
    }
    let mut files = Files::new();
    add_folder(&mut files, path, "")?;
    Ok(Chart::load(&files)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: template CHART [KEY=VALUE]...")?;
    let chart = load(Path::new(&path))?;
    // Fixed, so that the example prints the same each time: a program draws its secret and takes the time from the clock.
    let mut options = TemplateOptions::new(HelmVersion::V4, Now::default(), Secret::new([7; 32]));
    for assignment in args {
        options.values = options.values.set(&assignment)?;
    }
    print!("{}", template(&chart, &options)?);
    Ok(())
}
