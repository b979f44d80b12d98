//! The names of class codes, in the words of lspci.
//!
//! Source: PCI Code and ID Assignment Specification 1.11, section 1, and for what is newer the list
//! of PCI ids that lspci reads.

/// A base class.
pub(super) struct Base {
    pub(super) code: u8,
    pub(super) name: &'static str,
    pub(super) subs: &'static [(u8, &'static str)],
}

/// The base class with this code.
pub(super) fn base(code: u8) -> Option<&'static Base> {
    BASES.iter().find(|base| base.code == code)
}

/// The programming interfaces of a sub-class, as far as they have names.
pub(super) fn interfaces(base: u8, sub: u8) -> &'static [(u8, &'static str)] {
    match (base, sub) {
        (0x01, 0x01) => &IDE,
        (0x01, 0x05) => &[
            (0x20, "ADMA single stepping"),
            (0x30, "ADMA continuous operation"),
        ],
        (0x01, 0x06) => &[
            (0x00, "Vendor specific"),
            (0x01, "AHCI 1.0"),
            (0x02, "Serial Storage Bus"),
        ],
        (0x01, 0x07) => &[(0x01, "Serial Storage Bus")],
        (0x01, 0x08) => &[(0x01, "NVMHCI"), (0x02, "NVM Express")],
        (0x01, 0x09) => &[(0x00, "Vendor specific"), (0x01, "UFSHCI")],
        (0x03, 0x00) => &[(0x00, "VGA controller"), (0x01, "8514 controller")],
        (0x05, 0x02) => &[
            (0x00, "CXL Memory Device - vendor specific"),
            (0x10, "CXL Memory Device (CXL 2.x)"),
        ],
        (0x06, 0x04) => &[(0x00, "Normal decode"), (0x01, "Subtractive decode")],
        (0x06, 0x08) => &[(0x00, "Transparent mode"), (0x01, "Endpoint mode")],
        (0x06, 0x09) => &[
            (0x40, "Primary bus towards host CPU"),
            (0x80, "Secondary bus towards host CPU"),
        ],
        (0x07, 0x00) => &SERIAL,
        (0x07, 0x01) => &PARALLEL,
        (0x07, 0x03) => &MODEM,
        (0x08, 0x00) => &INTERRUPT,
        (0x08, 0x01) => &[(0x00, "8237"), (0x01, "ISA DMA"), (0x02, "EISA DMA")],
        (0x08, 0x02) => &[
            (0x00, "8254"),
            (0x01, "ISA Timer"),
            (0x02, "EISA Timers"),
            (0x03, "HPET"),
        ],
        (0x08, 0x03) => &[(0x00, "Generic"), (0x01, "ISA RTC")],
        (0x09, 0x04) => &[(0x00, "Generic"), (0x10, "Extended")],
        (0x0c, 0x00) => &[(0x00, "Generic"), (0x10, "OHCI")],
        (0x0c, 0x03) => &USB,
        (0x0c, 0x07) => &[(0x00, "SMIC"), (0x01, "KCS"), (0x02, "BT (Block Transfer)")],
        _ => &[],
    }
}

const IDE: [(u8, &str); 8] = [
    (0x00, "ISA Compatibility mode-only controller"),
    (0x05, "PCI native mode-only controller"),
    (
        0x0a,
        "ISA Compatibility mode controller, supports both channels switched to PCI native mode",
    ),
    (
        0x0f,
        "PCI native mode controller, supports both channels switched to ISA compatibility mode",
    ),
    (
        0x80,
        "ISA Compatibility mode-only controller, supports bus mastering",
    ),
    (
        0x85,
        "PCI native mode-only controller, supports bus mastering",
    ),
    (
        0x8a,
        "ISA Compatibility mode controller, supports both channels switched to PCI native mode, supports bus mastering",
    ),
    (
        0x8f,
        "PCI native mode controller, supports both channels switched to ISA compatibility mode, supports bus mastering",
    ),
];

const SERIAL: [(u8, &str); 7] = [
    (0x00, "8250"),
    (0x01, "16450"),
    (0x02, "16550"),
    (0x03, "16650"),
    (0x04, "16750"),
    (0x05, "16850"),
    (0x06, "16950"),
];

const PARALLEL: [(u8, &str); 5] = [
    (0x00, "SPP"),
    (0x01, "BiDir"),
    (0x02, "ECP"),
    (0x03, "IEEE1284"),
    (0xfe, "IEEE1284 Target"),
];

const MODEM: [(u8, &str); 5] = [
    (0x00, "Generic"),
    (0x01, "Hayes/16450"),
    (0x02, "Hayes/16550"),
    (0x03, "Hayes/16650"),
    (0x04, "Hayes/16750"),
];

const INTERRUPT: [(u8, &str); 5] = [
    (0x00, "8259"),
    (0x01, "ISA PIC"),
    (0x02, "EISA PIC"),
    (0x10, "IO-APIC"),
    (0x20, "IO(X)-APIC"),
];

const USB: [(u8, &str); 7] = [
    (0x00, "UHCI"),
    (0x10, "OHCI"),
    (0x20, "EHCI"),
    (0x30, "XHCI"),
    (0x40, "USB4 Host Interface"),
    (0x80, "Unspecified"),
    (0xfe, "USB Device"),
];

const BASES: [Base; 22] = [
    Base {
        code: 0x00,
        name: "Unclassified device",
        subs: &[
            (0x00, "Non-VGA unclassified device"),
            (0x01, "VGA compatible unclassified device"),
            (0x05, "Image coprocessor"),
        ],
    },
    Base {
        code: 0x01,
        name: "Mass storage controller",
        subs: &[
            (0x00, "SCSI storage controller"),
            (0x01, "IDE interface"),
            (0x02, "Floppy disk controller"),
            (0x03, "IPI bus controller"),
            (0x04, "RAID bus controller"),
            (0x05, "ATA controller"),
            (0x06, "SATA controller"),
            (0x07, "Serial Attached SCSI controller"),
            (0x08, "Non-Volatile memory controller"),
            (0x09, "Universal Flash Storage controller"),
            (0x80, "Mass storage controller"),
        ],
    },
    Base {
        code: 0x02,
        name: "Network controller",
        subs: &[
            (0x00, "Ethernet controller"),
            (0x01, "Token ring network controller"),
            (0x02, "FDDI network controller"),
            (0x03, "ATM network controller"),
            (0x04, "ISDN controller"),
            (0x05, "WorldFip controller"),
            (0x06, "PICMG controller"),
            (0x07, "Infiniband controller"),
            (0x08, "Fabric controller"),
            (0x80, "Network controller"),
        ],
    },
    Base {
        code: 0x03,
        name: "Display controller",
        subs: &[
            (0x00, "VGA compatible controller"),
            (0x01, "XGA compatible controller"),
            (0x02, "3D controller"),
            (0x80, "Display controller"),
        ],
    },
    Base {
        code: 0x04,
        name: "Multimedia controller",
        subs: &[
            (0x00, "Multimedia video controller"),
            (0x01, "Multimedia audio controller"),
            (0x02, "Computer telephony device"),
            (0x03, "Audio device"),
            (0x80, "Multimedia controller"),
        ],
    },
    Base {
        code: 0x05,
        name: "Memory controller",
        subs: &[
            (0x00, "RAM memory"),
            (0x01, "FLASH memory"),
            (0x02, "CXL"),
            (0x80, "Memory controller"),
        ],
    },
    Base {
        code: 0x06,
        name: "Bridge",
        subs: &[
            (0x00, "Host bridge"),
            (0x01, "ISA bridge"),
            (0x02, "EISA bridge"),
            (0x03, "MicroChannel bridge"),
            (0x04, "PCI bridge"),
            (0x05, "PCMCIA bridge"),
            (0x06, "NuBus bridge"),
            (0x07, "CardBus bridge"),
            (0x08, "RACEway bridge"),
            (0x09, "Semi-transparent PCI-to-PCI bridge"),
            (0x0a, "InfiniBand to PCI host bridge"),
            (0x80, "Bridge"),
        ],
    },
    Base {
        code: 0x07,
        name: "Communication controller",
        subs: &[
            (0x00, "Serial controller"),
            (0x01, "Parallel controller"),
            (0x02, "Multiport serial controller"),
            (0x03, "Modem"),
            (0x04, "GPIB controller"),
            (0x05, "Smart Card controller"),
            (0x80, "Communication controller"),
        ],
    },
    Base {
        code: 0x08,
        name: "Generic system peripheral",
        subs: &[
            (0x00, "PIC"),
            (0x01, "DMA controller"),
            (0x02, "Timer"),
            (0x03, "RTC"),
            (0x04, "PCI Hot-plug controller"),
            (0x05, "SD Host controller"),
            (0x06, "IOMMU"),
            (0x80, "System peripheral"),
            (0x99, "Timing Card"),
        ],
    },
    Base {
        code: 0x09,
        name: "Input device controller",
        subs: &[
            (0x00, "Keyboard controller"),
            (0x01, "Digitizer Pen"),
            (0x02, "Mouse controller"),
            (0x03, "Scanner controller"),
            (0x04, "Gameport controller"),
            (0x80, "Input device controller"),
        ],
    },
    Base {
        code: 0x0a,
        name: "Docking station",
        subs: &[(0x00, "Generic Docking Station"), (0x80, "Docking Station")],
    },
    Base {
        code: 0x0b,
        name: "Processor",
        subs: &[
            (0x00, "386"),
            (0x01, "486"),
            (0x02, "Pentium"),
            (0x10, "Alpha"),
            (0x20, "Power PC"),
            (0x30, "MIPS"),
            (0x40, "Co-processor"),
        ],
    },
    Base {
        code: 0x0c,
        name: "Serial bus controller",
        subs: &[
            (0x00, "FireWire (IEEE 1394)"),
            (0x01, "ACCESS Bus"),
            (0x02, "SSA"),
            (0x03, "USB controller"),
            (0x04, "Fibre Channel"),
            (0x05, "SMBus"),
            (0x06, "InfiniBand"),
            (0x07, "IPMI Interface"),
            (0x08, "SERCOS interface"),
            (0x09, "CANBUS"),
            (0x80, "Serial bus controller"),
        ],
    },
    Base {
        code: 0x0d,
        name: "Wireless controller",
        subs: &[
            (0x00, "IRDA controller"),
            (0x01, "Consumer IR controller"),
            (0x10, "RF controller"),
            (0x11, "Bluetooth"),
            (0x12, "Broadband"),
            (0x20, "802.1a controller"),
            (0x21, "802.1b controller"),
            (0x80, "Wireless controller"),
        ],
    },
    Base {
        code: 0x0e,
        name: "Intelligent controller",
        subs: &[(0x00, "I2O")],
    },
    Base {
        code: 0x0f,
        name: "Satellite communications controller",
        subs: &[
            (0x01, "Satellite TV controller"),
            (0x02, "Satellite audio communication controller"),
            (0x03, "Satellite voice communication controller"),
            (0x04, "Satellite data communication controller"),
        ],
    },
    Base {
        code: 0x10,
        name: "Encryption controller",
        subs: &[
            (0x00, "Network and computing encryption device"),
            (0x10, "Entertainment encryption device"),
            (0x80, "Encryption controller"),
        ],
    },
    Base {
        code: 0x11,
        name: "Signal processing controller",
        subs: &[
            (0x00, "DPIO module"),
            (0x01, "Performance counters"),
            (0x10, "Communication synchronizer"),
            (0x20, "Signal processing management"),
            (0x80, "Signal processing controller"),
        ],
    },
    Base {
        code: 0x12,
        name: "Processing accelerators",
        subs: &[
            (0x00, "Processing accelerators"),
            (
                0x01,
                "SNIA Smart Data Accelerator Interface (SDXI) controller",
            ),
        ],
    },
    Base {
        code: 0x13,
        name: "Non-Essential Instrumentation",
        subs: &[],
    },
    Base {
        code: 0x40,
        name: "Coprocessor",
        subs: &[],
    },
    Base {
        code: 0xff,
        name: "Unassigned class",
        subs: &[],
    },
];
