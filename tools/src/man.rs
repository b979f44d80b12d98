//! Manual pages, made of the definitions of the command line.

use crate::{
    cli::Cli,
    failure::{Exit, Failure},
    report::Report,
};
use clap::CommandFactory;
use std::{fs, path::Path};

/// Writes a page for the command and one for each of its commands into a folder.
pub fn write(folder: &Path) -> Result<Report, Failure> {
    let cannot = |e| {
        let message = format!("cannot write manual pages into {}: {e}", folder.display());
        Failure::new(Exit::Other, message)
    };
    fs::create_dir_all(folder).map_err(cannot)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(cannot)?;
    let mut pages = Vec::new();
    for file in fs::read_dir(folder).map_err(cannot)? {
        let name = file.map_err(cannot)?.file_name();
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("outboard") && name.ends_with(".1") {
            pages.push(name);
        }
    }
    pages.sort_unstable();
    Ok(Report {
        schema: "outboard.man/1",
        text: pages.iter().map(|page| format!("{page}\n")).collect(),
        data: serde_json::json!({ "folder": folder, "pages": pages }),
    })
}
