//! The instructions that accessors become: one plain load or store, and the right barrier.

use std::fs;
use std::path::PathBuf;

use crate::error::{Context, Result};
use crate::program;
use crate::static_build::{cargo, workspace};
use crate::toolchain::AARCH64;

/// The architecture of the lab.
const X86_64: &str = "x86_64-unknown-linux-gnu";

/// How each instruction of a function of the example `accessors` begins, in order.
type Expected = [(&'static str, &'static [&'static str])];

const ON_X86_64: &Expected = &[
    ("ordered_read", &["movl 8(%rdi), %eax", "retq"]),
    ("ordered_write", &["movl %esi, 8(%rdi)", "retq"]),
    ("relaxed_read", &["movl 8(%rdi), %eax", "retq"]),
    ("relaxed_write", &["movl %esi, 8(%rdi)", "retq"]),
    ("doorbell", &["movl $1, (%rdi)", "movl $1, 8(%rsi)", "retq"]),
];

const ON_AARCH64: &Expected = &[
    (
        "ordered_read",
        &["add x8, x0, #8", "ldr w0, [x8]", "dmb oshld", "ret"],
    ),
    (
        "ordered_write",
        &["dmb oshst", "add x8, x0, #8", "str w1, [x8]", "ret"],
    ),
    ("relaxed_read", &["add x8, x0, #8", "ldr w0, [x8]", "ret"]),
    ("relaxed_write", &["add x8, x0, #8", "str w1, [x8]", "ret"]),
    (
        "doorbell",
        &[
            "mov w8,",
            "add x9,",
            "str w8, [x0]",
            "dmb oshst",
            "str w8, [x9]",
            "ret",
        ],
    ),
];

/// Compiles the example for both architectures and compares.
pub fn check() -> Result<()> {
    for (target, expected) in [(X86_64, ON_X86_64), (AARCH64, ON_AARCH64)] {
        let assembly = compile(target)?;
        for (function, instructions) in expected {
            let found = body(&assembly, function);
            let same = found.len() == instructions.len()
                && found
                    .iter()
                    .zip(*instructions)
                    .all(|(found, start)| found.starts_with(start));
            if !same {
                return Err(format!(
                    "on {target}, {function} of io-core's example accessors is {found:?}, and should be \
                     {instructions:?}"
                )
                .into());
            }
        }
        let copy = body(&assembly, "copy_words");
        let store = if target == AARCH64 { "str w" } else { "movl %" };
        // A form that writes the address back would have it behind the bracket: `str w9, [x0], #4`.
        let plain = |line: &&String| line.starts_with(store) && line.ends_with([']', ')']);
        if !copy.iter().any(|line| plain(&line)) || copy.iter().any(|line| line.ends_with("]!")) {
            return Err(format!("on {target}, a copy has no plain 32-bit store: {copy:?}").into());
        }
        println!(
            "{target}: {} functions are the instructions they should be",
            expected.len() + 1
        );
    }
    Ok(())
}

/// The example's assembly, of the release build.
fn compile(target: &str) -> Result<String> {
    let mut command = cargo();
    command
        .args(["rustc", "--quiet", "--package", "outboard-io-core"])
        .args(["--example", "accessors", "--release", "--target", target])
        // Nothing has to be linked, and for another architecture nothing could be.
        .args(["--", "--emit=asm", "-Cdebuginfo=0", "-Clinker=true"]);
    println!("\nxtask: {}", program::line(&command));
    program::run(&mut command)?;
    let folder = target_folder().join(target).join("release/examples");
    let files = fs::read_dir(&folder).context(|| format!("cannot read {}", folder.display()))?;
    let newest = files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "s"))
        .filter(|path| {
            path.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("accessors-"))
        })
        .max_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    let newest = newest.ok_or_else(|| format!("cargo left no assembly in {}", folder.display()))?;
    Ok(fs::read_to_string(newest)?)
}

/// The folder that cargo builds in.
fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The instructions of a function, without labels, directives and comments.
fn body(assembly: &str, function: &str) -> Vec<String> {
    let name = format!("{}{function}", function.len());
    assembly
        .lines()
        .skip_while(|line| !(line.starts_with('_') && line.contains(&name) && line.ends_with(':')))
        .skip(1)
        .take_while(|line| !line.starts_with(".Lfunc_end"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.starts_with(['.', '#', '/']) && !line.ends_with(':'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::body;

    #[test]
    fn a_body_is_its_instructions() {
        let assembly = "\
_ZN9accessors5other17h00E:
\tretq
_ZN9accessors4read17h00E:
\t.cfi_startproc
\tmovl\t8(%rdi), %eax
\t#MEMBARRIER
.LBB0_1:
\tretq
.Lfunc_end1:
\tnop
";
        assert_eq!(body(assembly, "read"), ["movl 8(%rdi), %eax", "retq"]);
        assert!(body(assembly, "write").is_empty());
    }
}
