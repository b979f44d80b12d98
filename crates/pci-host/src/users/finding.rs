//! What is found to use a device.

use std::{fmt, str::FromStr};

/// Something that uses a device now, and would suffer if its driver were taken away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of use it is.
    pub code: Code,
    /// What it is about, if a consent to one is none to the next: the address of the other device in the group.
    pub subject: Option<String>,
    /// What uses it, as a sentence without a full stop: `/mnt is mounted from nvme0n1p1`.
    pub sentence: String,
    /// What to do about it, as a clause: `unmount it: sudo umount /mnt`.
    pub hint: String,
}

impl Finding {
    pub(crate) fn new(code: Code, sentence: String, hint: impl Into<String>) -> Self {
        Self {
            code,
            subject: None,
            sentence,
            hint: hint.into(),
        }
    }

    pub(crate) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The name by which somebody agrees to this one: `route`, or `group:0000:18:00.0`.
    #[must_use]
    pub fn allow(&self) -> String {
        match &self.subject {
            Some(subject) => format!("{}:{subject}", self.code),
            None => self.code.to_string(),
        }
    }
}

/// Defines the codes with their words, so that none is forgotten.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $word:literal,)+) => {
        /// What kind of use a [`Finding`] is. The words, by [`Display`](fmt::Display) and [`FromStr`], are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $code,)+
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The word for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$code => $word,)+
                }
            }
        }
    };
}

codes! {
    /// A file system on it is mounted.
    Mounted = "mounted",
    /// The kernel swaps to it.
    Swap = "swap",
    /// The kernel has made another disk of it (LVM, LUKS, RAID, multipath), or holds it for a file system such as ZFS.
    Holder = "holder",
    /// A route leads through its interface.
    Route = "route",
    /// Its interface has an address.
    Address = "address",
    /// Its interface is a port of a bond or a team.
    Bond = "bond",
    /// Its interface is a port of a bridge or a switch.
    Bridge = "bridge",
    /// There is a VLAN, or another interface that shares the link, on its interface.
    Vlan = "vlan",
    /// Another interface is on its interface.
    Upper = "upper",
    /// This session's SSH connection goes through it.
    Ssh = "ssh",
    /// There is no other way to the network at the next start.
    Network = "network",
    /// Its interface may be in another network namespace, where it cannot be seen from here.
    Namespace = "namespace",
    /// A program sends and receives frames on its interface by a packet socket.
    Packet = "packet",
    /// It has virtual functions.
    Vfs = "vfs",
    /// It is what the firmware shows its messages on, or a screen shows a picture of it.
    Display = "display",
    /// A process has one of its nodes open or mapped.
    Open = "open",
    /// Another device of its IOMMU group is with a driver of the kernel's own.
    Group = "group",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(word: &str) -> Result<Self, UnknownCode> {
        let mut all = Self::ALL.iter();
        let code = all.find(|code| code.word() == word);
        code.copied().ok_or_else(|| UnknownCode(word.to_owned()))
    }
}

/// A word that stands for no [`Code`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCode(String);

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = Code::ALL.iter().map(|code| code.word()).collect();
        write!(
            f,
            "there is no finding '{}'; there are {}",
            self.0,
            words.join(", ")
        )
    }
}

impl std::error::Error for UnknownCode {}
