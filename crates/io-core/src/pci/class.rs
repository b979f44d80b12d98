//! Class codes.

use super::class_names;
use std::fmt;

/// What a function is: base class, sub-class and programming interface (PCI Local Bus 3.0 section
/// 6.2.1, and the PCI Code and ID Assignment Specification).
///
/// ```
/// use io_core::pci::ClassCode;
///
/// let class = ClassCode::new(0x01, 0x08, 0x02);
/// assert_eq!(class.base_name(), Some("Mass storage controller"));
/// assert_eq!(class.name(), Some("Non-Volatile memory controller"));
/// assert_eq!(class.interface_name(), Some("NVM Express"));
/// assert_eq!(class.to_string(), "010802");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassCode {
    /// The base class.
    pub base: u8,
    /// The sub-class, whose meaning depends on the base class.
    pub sub: u8,
    /// The programming interface, whose meaning depends on both.
    pub interface: u8,
}

impl ClassCode {
    /// The class code of these three numbers.
    #[must_use]
    pub const fn new(base: u8, sub: u8, interface: u8) -> Self {
        Self {
            base,
            sub,
            interface,
        }
    }

    /// The name of the base class, if it has one.
    #[must_use]
    pub fn base_name(self) -> Option<&'static str> {
        class_names::base(self.base).map(|base| base.name)
    }

    /// The name of the sub-class, if it has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let base = class_names::base(self.base)?;
        find(base.subs, self.sub)
    }

    /// The name of the programming interface, if it has one.
    #[must_use]
    pub fn interface_name(self) -> Option<&'static str> {
        find(class_names::interfaces(self.base, self.sub), self.interface)
    }
}

fn find(names: &[(u8, &'static str)], code: u8) -> Option<&'static str> {
    names
        .iter()
        .find(|&&(of, _)| of == code)
        .map(|&(_, name)| name)
}

/// Six hexadecimal digits: base class, sub-class, programming interface; as `class` in sysfs.
impl fmt::Display for ClassCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}", self.base, self.sub, self.interface)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_name_has_none() {
        assert_eq!(ClassCode::new(0x14, 0, 0).base_name(), None);
        assert_eq!(ClassCode::new(0x02, 0x7f, 0).name(), None);
        assert_eq!(ClassCode::new(0x02, 0x00, 0).interface_name(), None);
        assert_eq!(ClassCode::new(0x0c, 0x03, 0x31).interface_name(), None);
    }

    #[test]
    fn the_table_is_in_order_and_has_no_code_twice() {
        for base in 0..=0xff {
            let Some(class) = class_names::base(base) else {
                continue;
            };
            assert!(
                class
                    .subs
                    .windows(2)
                    .all(|w| matches!(w, [a, b] if a.0 < b.0))
            );
            for &(sub, _) in class.subs {
                let interfaces = class_names::interfaces(base, sub);
                assert!(
                    interfaces
                        .windows(2)
                        .all(|w| matches!(w, [a, b] if a.0 < b.0))
                );
            }
        }
    }
}
