//! The instructions that accessors become: one plain load or store, and the right barrier.

use std::fs;
use std::path::PathBuf;

use crate::error::{Context, Result};
use crate::program;
use crate::static_build::{cargo, workspace};
use crate::stream::say;
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
    // One more than a raw access: the address comes out of the `SysOrIoMap`, which is in memory.
    (
        "either_read",
        &["movq 8(%rdi), %rax", "movl 8(%rax), %eax", "retq"],
    ),
    (
        "either_write",
        &["movq 8(%rdi), %rax", "movl %esi, 8(%rax)", "retq"],
    ),
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
    // System memory needs no barrier, so that the two part.
    (
        "either_read",
        &[
            "add x8, x1, #8",
            "tbz w0, #0,",
            "ldr w0, [x8]",
            "ret",
            "ldr w0, [x8]",
            "dmb oshld",
            "ret",
        ],
    ),
    (
        "either_write",
        &[
            "add x8, x1, #8",
            "tbz w0, #0,",
            "str w2, [x8]",
            "ret",
            "dmb oshst",
            "str w2, [x8]",
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
        check_copy(target, &body(&assembly, "copy_words"))?;
        check_copied_back(target, &body(&assembly, "copied_back"))?;
        say(&format!(
            "{target}: {} functions are the instructions they should be",
            expected.len() + 2
        ));
    }
    Ok(())
}

/// A copy by accesses of 32 bits has a plain store of a word, no form that writes the address back
/// (`str w9, [x0], #4`), none of two words, and no string instruction.
fn check_copy(target: &str, copy: &[String]) -> Result<()> {
    let (store, others): (_, &[&str]) = if target == AARCH64 {
        ("str w", &["stp w", "stnp", "st1"])
    } else {
        ("movl %", &["rep"])
    };
    let plain = |line: &&String| line.ends_with([']', ')']);
    let mut stores = copy.iter().filter(|line| line.starts_with(store));
    let some = stores.clone().any(|line| plain(&line));
    let back = target == AARCH64 && stores.any(|line| !plain(&line));
    let other = copy
        .iter()
        .any(|line| others.iter().any(|form| line.starts_with(form)));
    if !some || back || other {
        return Err(
            format!("on {target}, a copy is not made of plain 32-bit stores: {copy:?}").into(),
        );
    }
    Ok(())
}

/// What was copied to memory that a device may write is loaded from there again, and not taken to be there still.
fn check_copied_back(target: &str, copy: &[String]) -> Result<()> {
    let (stores, loads): (&[&str], &[&str]) = if target == AARCH64 {
        (&["strb"], &["ldrb"])
    } else {
        (&["movb %"], &["movzbl (", "movb ("])
    };
    let starts = |line: &String, forms: &[&str]| forms.iter().any(|form| line.starts_with(form));
    let stored = copy.iter().position(|line| starts(line, stores));
    let loaded = copy.iter().rposition(|line| starts(line, loads));
    match (stored, loaded) {
        (Some(stored), Some(loaded)) if stored < loaded => Ok(()),
        _ => Err(format!("on {target}, a copy from system memory is left out: {copy:?}").into()),
    }
}

/// The example's assembly, of the release build.
fn compile(target: &str) -> Result<String> {
    let mut command = cargo();
    command
        .args(["rustc", "--quiet", "--package", "outboard-io-core"])
        .args(["--example", "accessors", "--release", "--target", target])
        // Nothing has to be linked, and for another architecture nothing could be.
        .args(["--", "--emit=asm", "-Cdebuginfo=0", "-Clinker=true"]);
    say(&format!("\nxtask: {}", program::line(&command)));
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
pub fn target_folder() -> PathBuf {
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
