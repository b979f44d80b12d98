//! A function of PCI Express as a sender and receiver of TLPs.

use super::{BodyError, Fields};
use crate::pci::bits::{bits8, flags};

/// A function of PCI Express as a sender and receiver of TLPs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What it can do.
    pub capabilities: DeviceCapabilities,
    /// What it does.
    pub control: DeviceControl,
    /// What happened.
    pub status: DeviceStatus,
}

/// More of a function, since version 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device2 {
    /// What it can do.
    pub capabilities: DeviceCapabilities2,
    /// What it does.
    pub control: DeviceControl2,
}

flags! {
    /// Device Capabilities (PCI Express Base 6.0 section 7.5.3.3; offset 4, 32 bits).
    pub struct DeviceCapabilities(u32) {
        EXTENDED_TAGS = 1 << 5, "ExtTag", "It can use tags of 8 bits.";
        ATTENTION_BUTTON = 1 << 12, "AttnBtn", "It has an attention button (until 1.0a).";
        ATTENTION_INDICATOR = 1 << 13, "AttnInd", "It has an attention indicator (until 1.0a).";
        POWER_INDICATOR = 1 << 14, "PwrInd", "It has a power indicator (until 1.0a).";
        ROLE_BASED_ERRORS = 1 << 15, "RBE", "It reports errors by its role (since 1.1).";
        FUNCTION_LEVEL_RESET = 1 << 28, "FLReset", "It can be reset on its own (FLR).";
    }
}

impl DeviceCapabilities {
    /// The largest payload that it can take, in bytes: 128 to 4096. `None` if it names one that the
    /// specification reserves.
    #[must_use]
    pub fn max_payload(self) -> Option<u16> {
        payload(bits8(self.bits(), 0, 3))
    }

    /// How many bits of the function number it uses for tags.
    #[must_use]
    pub fn phantom_functions(self) -> u8 {
        bits8(self.bits(), 3, 2)
    }

    /// The exit latency of L0s that it can bear: a power of two of 64 ns, less than which it is; 7 for
    /// any.
    #[must_use]
    pub fn l0s_latency(self) -> u8 {
        bits8(self.bits(), 6, 3)
    }

    /// The exit latency of L1 that it can bear: a power of two of 1 µs, less than which it is; 7 for any.
    #[must_use]
    pub fn l1_latency(self) -> u8 {
        bits8(self.bits(), 9, 3)
    }

    /// How much power its slot gives, in mW. It counts for what can sit in a slot.
    #[must_use]
    pub fn slot_power_limit(self) -> u32 {
        power_limit(bits8(self.bits(), 18, 8), bits8(self.bits(), 26, 2))
    }
}

flags! {
    /// Device Control (PCI Express Base 6.0 section 7.5.3.4; offset 8, 16 bits).
    pub struct DeviceControl(u16) {
        CORRECTABLE_ERRORS = 1 << 0, "CorrErr", "It reports correctable errors.";
        NON_FATAL_ERRORS = 1 << 1, "NonFatalErr", "It reports non-fatal errors.";
        FATAL_ERRORS = 1 << 2, "FatalErr", "It reports fatal errors.";
        UNSUPPORTED_REQUESTS = 1 << 3, "UnsupReq", "It reports requests that it does not support.";
        RELAXED_ORDERING = 1 << 4, "RlxdOrd", "It may ask for relaxed ordering.";
        EXTENDED_TAGS = 1 << 8, "ExtTag", "It may use tags of 8 bits.";
        PHANTOM_FUNCTIONS = 1 << 9, "PhantFunc", "It may use the function number for tags.";
        AUX_POWER = 1 << 10, "AuxPwr", "It may draw auxiliary power whatever PME# says.";
        NO_SNOOP = 1 << 11, "NoSnoop", "It may ask that caches be left out.";
        FUNCTION_LEVEL_RESET = 1 << 15, "FLReset", "Writing a 1 resets it, if it can do that; reads 0. In a bridge to PCI: it may answer that it needs more time.";
    }
}

impl DeviceControl {
    /// The largest payload that it may send, in bytes: 128 to 4096. `None` if it names one that the
    /// specification reserves.
    #[must_use]
    pub fn max_payload(self) -> Option<u16> {
        payload(bits8(self.bits(), 5, 3))
    }

    /// The largest read that it may ask for, in bytes: 128 to 4096. `None` if it names one that the
    /// specification reserves.
    #[must_use]
    pub fn max_read_request(self) -> Option<u16> {
        payload(bits8(self.bits(), 12, 3))
    }
}

flags! {
    /// Device Status (PCI Express Base 6.0 section 7.5.3.5; offset 10, 16 bits). The first four are
    /// cleared by writing a 1.
    pub struct DeviceStatus(u16) {
        CORRECTABLE_ERROR = 1 << 0, "CorrErr", "It saw a correctable error.";
        NON_FATAL_ERROR = 1 << 1, "NonFatalErr", "It saw a non-fatal error.";
        FATAL_ERROR = 1 << 2, "FatalErr", "It saw a fatal error.";
        UNSUPPORTED_REQUEST = 1 << 3, "UnsupReq", "It got a request that it does not support.";
        AUX_POWER = 1 << 4, "AuxPwr", "It sees auxiliary power.";
        TRANSACTIONS_PENDING = 1 << 5, "TransPend", "Requests of its own are not completed yet.";
    }
}

flags! {
    /// Device Capabilities 2 (PCI Express Base 6.0 section 7.5.3.15; offset 0x24, 32 bits).
    pub struct DeviceCapabilities2(u32) {
        COMPLETION_TIMEOUT_DISABLE = 1 << 4, "TimeoutDis", "Its completion timeout can be switched off.";
        ARI_FORWARDING = 1 << 5, "ARIFwd", "The port can address 256 functions.";
        ATOMIC_ROUTING = 1 << 6, "Routing", "The port forwards AtomicOps.";
        ATOMIC_32 = 1 << 7, "32bit", "It carries out AtomicOps of 32 bits.";
        ATOMIC_64 = 1 << 8, "64bit", "It carries out AtomicOps of 64 bits.";
        ATOMIC_128 = 1 << 9, "128bitCAS", "It carries out compare-and-swap of 128 bits.";
        NO_RELAXED_PEER = 1 << 10, "NROPrPrP", "The port does not let requests with relaxed ordering pass each other.";
        LTR = 1 << 11, "LTR", "It can report the latency that it bears.";
        TEN_BIT_TAG_COMPLETER = 1 << 16, "10BitTagComp", "It answers requests with tags of 10 bits.";
        TEN_BIT_TAG_REQUESTER = 1 << 17, "10BitTagReq", "It can use tags of 10 bits.";
        EXTENDED_FORMAT = 1 << 20, "ExtFmt", "The Fmt field of a TLP can have 3 bits.";
        END_TO_END_PREFIX = 1 << 21, "EETLPPrefix", "TLPs can have end-to-end prefixes.";
        EMERGENCY_POWER_INIT = 1 << 26, "EmergencyPowerReductionInit", "It must be initialised after an emergency power reduction.";
        FRS = 1 << 31, "FRS", "It can tell that it is ready.";
    }
}

impl DeviceCapabilities2 {
    /// Which ranges the completion timeout can be chosen from: bit 0 to 3 for A to D. 0 for none.
    #[must_use]
    pub fn completion_timeout_ranges(self) -> u8 {
        bits8(self.bits(), 0, 4)
    }

    /// Which processing hints it can complete: bit 0 ordinary, bit 1 extended ones.
    #[must_use]
    pub fn tph_completer(self) -> u8 {
        bits8(self.bits(), 12, 2)
    }

    /// How it reduces its power in an emergency: 0 not at all, 1 as the device says, 2 as its form factor
    /// says, or the device.
    #[must_use]
    pub fn emergency_power_reduction(self) -> u8 {
        bits8(self.bits(), 24, 2)
    }

    /// How OBFF works: bit 0 by messages, bit 1 by WAKE#. 0 for not at all.
    #[must_use]
    pub fn obff(self) -> u8 {
        bits8(self.bits(), 18, 2)
    }

    /// How many end-to-end prefixes a TLP can have: 1 to 4. It counts with `END_TO_END_PREFIX`.
    #[must_use]
    pub fn max_end_to_end_prefixes(self) -> u8 {
        match bits8(self.bits(), 22, 2) {
            0 => 4,
            count => count,
        }
    }
}

flags! {
    /// Device Control 2 (PCI Express Base 6.0 section 7.5.3.16; offset 0x28, 16 bits).
    pub struct DeviceControl2(u16) {
        COMPLETION_TIMEOUT_DISABLE = 1 << 4, "TimeoutDis", "Its completion timeout is switched off.";
        ARI_FORWARDING = 1 << 5, "ARIFwd", "The port addresses 256 functions.";
        ATOMIC_REQUESTER = 1 << 6, "ReqEn", "It may send AtomicOps.";
        ATOMIC_EGRESS_BLOCKING = 1 << 7, "EgressBlck", "The port blocks AtomicOps on their way out.";
        ID_ORDERING_REQUESTS = 1 << 8, "IDOReq", "Its requests may be ordered by id.";
        ID_ORDERING_COMPLETIONS = 1 << 9, "IDOCompl", "Its completions may be ordered by id.";
        LTR = 1 << 10, "LTR", "It reports the latency that it bears.";
        TEN_BIT_TAG_REQUESTER = 1 << 12, "10BitTagReq", "It may use tags of 10 bits.";
        END_TO_END_PREFIX_BLOCKING = 1 << 15, "EETLPPrefixBlk", "The port blocks TLPs with end-to-end prefixes.";
    }
}

impl DeviceControl2 {
    /// The completion timeout that is chosen: 0 for the default, else bits 2 and 3 the range (A to D), and
    /// the two below 1 or 2 for its lower or upper half.
    #[must_use]
    pub fn completion_timeout(self) -> u8 {
        bits8(self.bits(), 0, 4)
    }

    /// How OBFF works: 0 not at all, 1 and 2 by messages, 3 by WAKE#.
    #[must_use]
    pub fn obff(self) -> u8 {
        bits8(self.bits(), 13, 2)
    }
}

/// 128 bytes times a power of two.
fn payload(log2: u8) -> Option<u16> {
    (log2 <= 5).then(|| 128 << log2)
}

/// In mW: a value in units of 1, 0.1, 0.01 or 0.001 W; above 0xef, in units of 1 W, a code.
pub(super) fn power_limit(value: u8, scale: u8) -> u32 {
    match (scale, value) {
        (0, 0xf0) => 250_000,
        (0, 0xf1) => 275_000,
        (0, 0xf2..) => 300_000,
        (0, value) => u32::from(value) * 1000,
        (1, value) => u32::from(value) * 100,
        (2, value) => u32::from(value) * 10,
        (_, value) => u32::from(value),
    }
}

pub(super) fn decode(fields: Fields<'_>) -> Result<Device, BodyError> {
    Ok(Device {
        capabilities: DeviceCapabilities::from_bits(fields.read32(0x04)?),
        control: DeviceControl::from_bits(fields.read16(0x08)?),
        status: DeviceStatus::from_bits(fields.read16(0x0a)?),
    })
}

pub(super) fn decode_second(fields: Fields<'_>) -> Result<Device2, BodyError> {
    Ok(Device2 {
        capabilities: DeviceCapabilities2::from_bits(fields.read32(0x24)?),
        control: DeviceControl2::from_bits(fields.read16(0x28)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_limit_has_a_unit_or_is_a_code() {
        // PCI Express Base 6.0, table 7-19: Captured Slot Power Limit Value and Scale.
        assert_eq!(power_limit(75, 0), 75_000);
        assert_eq!(power_limit(250, 1), 25_000);
        assert_eq!(power_limit(0xef, 0), 239_000);
        assert_eq!(power_limit(0xf1, 0), 275_000);
        assert_eq!(power_limit(0xf1, 3), 241);
    }
}
