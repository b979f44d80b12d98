//! Whether all is there that it takes to drive devices from user space, and what mends what is not.

mod account;
mod device;
mod machine;

pub use account::Account;

use crate::{Host, PciFunction};
use io_core::Result;
use std::fmt;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// What it is about, as a word: `iommu`, `memlock`. The words are stable.
    pub about: &'static str,
    /// How it is.
    pub outcome: Outcome,
    /// How it is, as a sentence without a full stop.
    pub sentence: String,
    /// What mends it, if something does: a command, or what to do in its place.
    pub mend: Option<String>,
}

/// How something is that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between")]
pub enum Outcome {
    /// As it has to be.
    Pass,
    /// It works, or may; but not in every way, or with a danger.
    Warn,
    /// It cannot work so.
    Fail,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

impl Check {
    fn pass(about: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            about,
            outcome: Outcome::Pass,
            sentence: sentence.into(),
            mend: None,
        }
    }

    fn warn(about: &'static str, sentence: impl Into<String>, mend: impl Into<String>) -> Self {
        let mend = Some(mend.into());
        Self {
            about,
            outcome: Outcome::Warn,
            sentence: sentence.into(),
            mend,
        }
    }

    fn fail(about: &'static str, sentence: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Fail,
            ..Self::warn(about, sentence, mend)
        }
    }
}

/// Who is to drive the device, and what with.
#[derive(Debug, Clone)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is put together by whoever asks"
)]
pub struct Needs<'a> {
    /// The device, if it is about one.
    pub device: Option<&'a PciFunction>,
    /// The user, if it is not who runs this program.
    pub user: Option<&'a Account>,
    /// How many bytes of memory the driver is to give devices.
    pub memory: u64,
}

impl Host {
    /// Looks at all that it takes to drive devices from user space with VFIO: of the machine, and of one device.
    ///
    /// # Errors
    ///
    /// The machine does not show what it has to of the device's IOMMU group.
    pub fn doctor(&self, needs: &Needs<'_>) -> Result<Vec<Check>> {
        let mut checks = machine::checks(self, needs);
        if let Some(function) = needs.device {
            checks.extend(device::checks(self, function, needs.user)?);
        }
        Ok(checks)
    }
}
