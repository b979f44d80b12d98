//! What the command prints for programs is as its schemas say, on whatever machine this is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod schema;

use serde_json::Value;
use std::process::Command;

/// What the command prints for programs, whether it fails or not.
fn json(arguments: &[&str]) -> Value {
    let mut outboard = Command::new(env!("CARGO_BIN_EXE_outboard"));
    let output = outboard.args(arguments).arg("--json").output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_is_printed_is_as_its_schema_says() {
    let list = json(&["list"]);
    schema::check(&list);
    let devices = list["data"].as_array().unwrap();
    for device in devices.iter().take(3) {
        let address = device["address"].as_str().unwrap();
        for command in ["show", "users", "doctor"] {
            schema::check(&json(&[command, address]));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    for arguments in [
        &["groups"][..],
        &["doctor"],
        &["log"],
        &["access", "show"],
        &["persist", "list"],
        &["persist", "check"],
        &["persist", "add", "0000:ff:1f.7"],
        &["persist", "remove", "path:0000:00:1f.7/1f.7", "--print"],
        &["completions", "zsh"],
        &["man", folder],
        &["show", "0000:ff:1f.7"],
        &["bind", "0000:ff:1f.7"],
        &["schema", "nonesuch"],
    ] {
        schema::check(&json(arguments));
    }
}

#[test]
fn each_schema_is_one_and_refuses_what_it_does_not_know() {
    let names = json(&["schema"]);
    for name in names["data"]["names"].as_array().unwrap() {
        let schema = &json(&["schema", name.as_str().unwrap()])["data"];
        let title = format!("outboard.{}/1", name.as_str().unwrap());
        assert_eq!(schema["title"], title);
        let wrong = serde_json::json!({ "schema": title, "data": {}, "error": {}, "more": 1 });
        assert!(schema::is(&wrong, schema, "").is_err(), "{name}");
    }
}
