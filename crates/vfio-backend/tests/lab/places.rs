//! Where the lab has its devices: see docs/lab.md.

pub const EDU: &str = "00:03.0";
pub const EDU_BEHIND_PORT: &str = "01:00.0";
pub const IVSHMEM: &str = "00:10.0";
pub const DOORBELL: &str = "00:11.0";
pub const TESTDEV: &str = "00:13.0";
pub const NIC: &str = "03:00.0";
pub const NVME: &str = "04:00.0";
pub const EDU_BEHIND_BRIDGE: &str = "05:01.0";
/// What the machine pciehp has behind ports of its own: see docs/lab.md.
pub const PULLED_OUT: &str = "06:00.0";
pub const FATALLY_ILL: &str = "07:00.0";
