//! Names that people give their devices.

use crate::{Host, Selector};
use io_core::{Error, ErrorKind, Result};
use std::{fs, io, path::Path};
use toml::Table;

impl Host {
    /// What an alias stands for.
    ///
    /// Aliases are in `outboard/config.toml` of the user's configuration (`$XDG_CONFIG_HOME`, or else `~/.config`), and in
    /// `/etc/outboard/config.toml`; the user's come first.
    ///
    /// ```toml
    /// [alias]
    /// nic = "path:0000:00:1c.4/00.0"
    /// ```
    ///
    /// # Errors
    ///
    /// No file has such an alias, it stands for no device, or a file makes no sense.
    pub fn alias(&self, name: &str) -> Result<Selector> {
        for file in self.config_files() {
            let Some(table) = read(&file)? else { continue };
            let Some(selector) = table.get("alias").and_then(|aliases| aliases.get(name)) else {
                continue;
            };
            let wrong = |why: String| {
                let message = format!("the alias {name} of {} is wrong: {why}", file.display());
                Error::new(ErrorKind::InvalidInput, message)
            };
            let text = selector.as_str();
            let text = text.ok_or_else(|| wrong("what it stands for is no text".to_owned()))?;
            return match text.parse() {
                Ok(Selector::Alias(_)) => Err(wrong("it stands for another alias".to_owned())),
                Ok(selector) => Ok(selector),
                Err(error) => Err(wrong(error.to_string())),
            };
        }
        let files: Vec<_> = self
            .config_files()
            .map(|f| f.display().to_string())
            .collect();
        Err(
            Error::new(ErrorKind::NotFound, format!("there is no alias {name}")).with_hint(
                format!(
                    "write it into {}: [alias], and a line such as {name} = \"net:eth1\"",
                    files.join(" or ")
                ),
            ),
        )
    }
}

/// The file as TOML, if there is one.
fn read(file: &Path) -> Result<Option<Table>> {
    let cannot = || format!("cannot read {}", file.display());
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::from_os(cannot(), e)),
    };
    let table = text.parse::<Table>();
    table
        .map(Some)
        .map_err(|e| Error::new(ErrorKind::InvalidInput, cannot()).with_source(e))
}
