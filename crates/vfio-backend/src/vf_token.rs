//! The secret between a driver of a physical function and those of its virtual functions.

use crate::{VfioDevice, sys};
use io_core::{Error, ErrorKind, Result};
use nix::errno::Errno;
use std::{fmt, io, os::fd::AsFd, str::FromStr};

/// The secret that who drives a physical function by VFIO shares with who may drive its virtual functions: a UUID.
///
/// A physical function can look into what its virtual functions do. That is why the kernel lets nobody have one by VFIO,
/// as long as the other is with VFIO too, who does not know its token.
///
/// ```
/// use vfio_backend::VfToken;
///
/// let token: VfToken = "14d63f20-8445-11ea-8900-1f9ce7d5650d".parse()?;
/// assert_eq!(token.to_string(), "14d63f20-8445-11ea-8900-1f9ce7d5650d");
/// # Ok::<(), io_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct VfToken([u8; 16]);

impl VfToken {
    /// The token of these bytes, which are random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for VfToken {
    type Err = Error;

    /// A UUID: 32 hexadecimal digits, with hyphens after the 8th, 12th, 16th and 20th.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let message = "a VF token is a UUID, such as 14d63f20-8445-11ea-8900-1f9ce7d5650d";
            Error::new(ErrorKind::InvalidInput, message)
        };
        let parts: Vec<_> = text.split('-').collect();
        let digits = parts.concat();
        let number = u128::from_str_radix(&digits, 16).map_err(|_| wrong())?;
        let lengths = parts.iter().map(|part| part.len());
        // A number may begin with a sign.
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hexadecimal || !lengths.eq([8, 4, 4, 4, 12]) {
            return Err(wrong());
        }
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for VfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for VfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VfToken(..)")
    }
}

impl VfioDevice {
    /// Sets the token that virtual functions of this physical function are opened with from now on
    /// ([`VfioContext::open_with_token`](crate::VfioContext::open_with_token)). It stays after this is closed, until the
    /// function is bound to another driver. At first it is one that nobody knows.
    ///
    /// # Errors
    ///
    /// It is no physical function ([`ErrorKind::Unsupported`]), or the kernel failed.
    #[doc(alias = "VFIO_DEVICE_FEATURE_PCI_VF_TOKEN")]
    pub fn set_vf_token(&self, token: &VfToken) -> Result<()> {
        sys::set_vf_token(self.file().as_fd(), token.bytes()).map_err(|errno| {
            let address = self.address();
            let message = format!("cannot set the token for virtual functions of {address}");
            let source = io::Error::from(errno);
            match errno {
                Errno::ENOTTY => Error::new(ErrorKind::Unsupported, message)
                    .with_source(source)
                    .with_hint("it has none: it has no SR-IOV capability"),
                _ => Error::from_os(message, source),
            }
        })
    }
}

/// The error of a function that the kernel gives only to who knows its token, with what to do about it.
pub(crate) fn explain(error: Error) -> Error {
    if error.errno() != Some(nix::libc::EACCES) {
        return error;
    }
    error.with_hint(
        "a virtual function and its physical function are both with vfio-pci: open it with the token that was set there \
         (VfioDevice::set_vf_token, VfioContext::open_with_token)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_written_as_rfc_9562_has_it() {
        // Appendix A.1 of RFC 9562.
        let text = "c232ab00-9414-11ec-b3c8-9f6bdeced846";
        let token: VfToken = text.parse().unwrap();
        assert_eq!(token.bytes()[..6], [0xc2, 0x32, 0xab, 0x00, 0x94, 0x14]);
        assert_eq!(token.to_string(), text);
        for wrong in [
            "",
            "c232ab00",
            "c232ab009414-11ec-b3c8-9f6bdeced846-",
            "+232ab00-9414-11ec-b3c8-9f6bdeced846",
        ] {
            assert!(wrong.parse::<VfToken>().is_err(), "{wrong}");
        }
    }
}
