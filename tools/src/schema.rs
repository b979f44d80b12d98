//! `outboard schema`: the shapes of what `--json` prints, as JSON Schemas.

use crate::{
    failure::{Exit, Failure},
    report::Report,
};
use serde_json::{Value, json};

macro_rules! schemas {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../schemas/", $name, ".json")))),*]
    };
}

/// Each command's, and that of errors.
const SCHEMAS: [(&str, &str); 15] = schemas!(
    "access" "bind" "completions" "doctor" "error" "fw.load" "groups" "list" "log" "man" "persist" "release" "show" "undo" "users"
);

/// The schema of this name, or the names of all.
pub fn run(name: Option<&str>) -> Result<Report, Failure> {
    let names = SCHEMAS.map(|(name, _)| name);
    let Some(wanted) = name else {
        return Ok(Report {
            schema: "outboard.schema/1",
            data: json!({ "names": names }),
            text: names.map(|name| format!("{name}\n")).concat(),
        });
    };
    let found = SCHEMAS.iter().find(|(name, _)| *name == wanted);
    let (_, text) = found.ok_or_else(|| {
        let message = format!("there is no schema {wanted}");
        Failure::new(Exit::NotFound, message).with_hint(format!("there are {}", names.join(", ")))
    })?;
    let data: Value = serde_json::from_str(text).map_err(|e| {
        let message = format!("the schema {wanted} is broken: {e}");
        Failure::new(Exit::Other, message)
    })?;
    Ok(Report {
        schema: "outboard.schema/1",
        data,
        text: (*text).to_owned(),
    })
}
