//! Whether what the command prints is as its schemas say. Of JSON Schema (draft 2020-12) it knows what these use, and is stopped
//! by anything else.

use regex_lite::Regex;
use serde_json::Value;
use std::process::Command;

/// The shape of `printed`, which names its schema.
///
/// # Panics
///
/// It is not as the schema says.
pub fn check(printed: &Value) {
    let name = printed["schema"].as_str().unwrap();
    let name = name.strip_prefix("outboard.").unwrap();
    let name = name.strip_suffix("/1").unwrap();
    let mut outboard = Command::new(env!("CARGO_BIN_EXE_outboard"));
    let output = outboard.args(["schema", name]).output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    let schema = serde_json::from_slice(&output.stdout).unwrap();
    if let Err(wrong) = is(printed, &schema, "") {
        panic!("{name}: {wrong}\n{printed:#}");
    }
}

/// Whether `value`, which is at `at`, is as `schema` says.
pub fn is(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    for (keyword, says) in schema.as_object().unwrap() {
        let fits = match keyword.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => match says {
                Value::Array(types) => types.iter().any(|one| is_of(value, one)),
                one => is_of(value, one),
            },
            "const" => value == says,
            "enum" => says.as_array().unwrap().contains(value),
            "minimum" => value.as_f64() >= says.as_f64(),
            "maximum" => value.as_f64() <= says.as_f64(),
            "maxItems" => value.as_array().map(Vec::len) <= Some(number(says)),
            "pattern" => match value {
                Value::String(text) => Regex::new(says.as_str().unwrap()).unwrap().is_match(text),
                _ => true,
            },
            "properties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = says.get(name) {
                        is(value, schema, &format!("{at}/{name}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(says, false);
                let known = &schema["properties"];
                let mut names = value.as_object().into_iter().flat_map(|o| o.keys());
                names.all(|name| known.get(name).is_some())
            }
            "required" => {
                let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                says.as_array().unwrap().iter().all(has)
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    is(item, says, &format!("{at}/{index}"))?;
                }
                true
            }
            "oneOf" => {
                let all = says.as_array().unwrap().iter();
                let fit: Vec<_> = all.map(|one| is(value, one, at)).collect();
                if fit.iter().filter(|fit| fit.is_ok()).count() != 1 {
                    return Err(format!("{at}: one of {fit:?}"));
                }
                true
            }
            other => panic!("this checker does not know {other:?}"),
        };
        if !fits {
            return Err(format!("{at}: {value} is not as {keyword} {says}"));
        }
    }
    Ok(())
}

fn is_of(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other}"),
    }
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}
