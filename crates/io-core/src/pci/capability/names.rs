//! The names of capabilities.

use super::CapabilityId;

impl CapabilityId {
    /// Power management.
    pub const POWER_MANAGEMENT: Self = Self::Standard(0x01);
    /// Vital product data.
    pub const VPD: Self = Self::Standard(0x03);
    /// Message signalled interrupts.
    pub const MSI: Self = Self::Standard(0x05);
    /// What a vendor makes of it.
    pub const VENDOR_SPECIFIC: Self = Self::Standard(0x09);
    /// PCI Express.
    pub const PCI_EXPRESS: Self = Self::Standard(0x10);
    /// Message signalled interrupts with a table.
    pub const MSI_X: Self = Self::Standard(0x11);
    /// What PCI Express has, for a conventional function.
    pub const ADVANCED_FEATURES: Self = Self::Standard(0x13);
    /// BARs with fixed addresses.
    pub const ENHANCED_ALLOCATION: Self = Self::Standard(0x14);
    /// Advanced error reporting.
    pub const AER: Self = Self::Extended(0x01);
    /// A serial number.
    pub const SERIAL_NUMBER: Self = Self::Extended(0x03);
    /// What a vendor makes of it.
    pub const VSEC: Self = Self::Extended(0x0b);
    /// Access control services.
    pub const ACS: Self = Self::Extended(0x0d);
    /// Alternative routing-id interpretation.
    pub const ARI: Self = Self::Extended(0x0e);
    /// Address translation services.
    pub const ATS: Self = Self::Extended(0x0f);
    /// Single-root I/O virtualization.
    pub const SR_IOV: Self = Self::Extended(0x10);
    /// The page request interface.
    pub const PRI: Self = Self::Extended(0x13);
    /// BARs whose size can be chosen.
    pub const RESIZABLE_BAR: Self = Self::Extended(0x15);
    /// Latency tolerance reporting.
    pub const LTR: Self = Self::Extended(0x18);
    /// Process address space ids.
    pub const PASID: Self = Self::Extended(0x1b);
    /// Downstream port containment.
    pub const DPC: Self = Self::Extended(0x1d);
    /// What a vendor makes of it, in any vendor's function.
    pub const DVSEC: Self = Self::Extended(0x23);
    /// BARs of virtual functions whose size can be chosen.
    pub const VF_RESIZABLE_BAR: Self = Self::Extended(0x24);
    /// Data object exchange.
    pub const DOE: Self = Self::Extended(0x2e);

    /// The name, if the id is known.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Standard(id) => STANDARD.get(usize::from(id)).copied(),
            Self::Extended(id) => EXTENDED.get(usize::from(id)).copied(),
        }
    }
}

/// By id. PCI Code and ID Assignment Specification 1.11, section 2.
const STANDARD: [&str; 0x16] = [
    "Null",
    "Power Management",
    "AGP",
    "Vital Product Data",
    "Slot ID",
    "MSI",
    "CompactPCI hot-swap",
    "PCI-X",
    "HyperTransport",
    "Vendor Specific Information",
    "Debug port",
    "CompactPCI central resource control",
    "Hot-plug capable",
    "Subsystem",
    "AGP3",
    "Secure device",
    "Express",
    "MSI-X",
    "SATA HBA",
    "PCI Advanced Features",
    "Enhanced Allocation (EA)",
    "Flattening Portal Bridge",
];

/// By id. PCI Code and ID Assignment Specification 1.11, section 3; from 0x2f on, PCI Express Base 6.2
/// section 7.
const EXTENDED: [&str; 0x37] = [
    "Null",
    "Advanced Error Reporting",
    "Virtual Channel",
    "Device Serial Number",
    "Power Budgeting",
    "Root Complex Link",
    "Root Complex Internal Link",
    "Root Complex Event Collector Endpoint Association",
    "Multi-Function Virtual Channel",
    "Virtual Channel (with Multi-Function Virtual Channel)",
    "Root Complex Register Block",
    "Vendor Specific Information",
    "Configuration Access Correlation",
    "Access Control Services",
    "Alternative Routing-ID Interpretation (ARI)",
    "Address Translation Service (ATS)",
    "Single Root I/O Virtualization (SR-IOV)",
    "Multi-Root I/O Virtualization",
    "Multicast",
    "Page Request Interface (PRI)",
    "Reserved for AMD",
    "Physical Resizable BAR",
    "Dynamic Power Allocation",
    "Transaction Processing Hints",
    "Latency Tolerance Reporting",
    "Secondary PCI Express",
    "Protocol Multiplexing",
    "Process Address Space ID (PASID)",
    "LN Requester",
    "Downstream Port Containment",
    "L1 PM Substates",
    "Precision Time Measurement",
    "PCI Express over M_PHY",
    "FRS Queueing",
    "Readiness Time Reporting",
    "Designated Vendor-Specific",
    "Virtual Resizable BAR",
    "Data Link Feature",
    "Physical Layer 16.0 GT/s",
    "Lane Margining at the Receiver",
    "Hierarchy ID",
    "Native PCIe Enclosure Management",
    "Physical Layer 32.0 GT/s",
    "Alternate Protocol",
    "System Firmware Intermediary",
    "Shadow Functions",
    "Data Object Exchange",
    "Device 3",
    "Integrity and Data Encryption (IDE)",
    "Physical Layer 64.0 GT/s",
    "Flit Logging",
    "Flit Performance Measurement",
    "Flit Error Injection",
    "Streamlined Virtual Channel",
    "MMIO Register Block Locator",
];
