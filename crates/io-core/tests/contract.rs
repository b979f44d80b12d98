//! The contract of backends: kept by the simulated device, and found out where it is not.
#![expect(clippy::unwrap_used, reason = "test code")]

use io_core::{
    Bar, ConfigSpace, Error, ErrorKind, PciDevice, Result, Width,
    contract::{Finding, Verdict, broken, check},
    dma::DmaSpace,
    irq::Interrupts,
    pci::PciAddress,
    sim::{Edu, Loader, Model, Ram, SimulatedDevice},
};

fn simulated(model: impl Model) -> SimulatedDevice {
    SimulatedDevice::new("0000:01:00.0".parse().unwrap(), model)
}

/// What is there, by its names.
fn there(findings: &[Finding]) -> Vec<&str> {
    assert_eq!(broken(findings).count(), 0, "{findings:?}");
    let kept = findings.iter().filter(|f| f.verdict == Verdict::Kept);
    kept.map(|finding| finding.what).collect()
}

#[test]
fn the_simulated_device_keeps_it_whatever_its_model() {
    let all = [
        "configuration space",
        "bus mastering",
        "BARs",
        "DMA",
        "reset",
    ];
    for device in [
        simulated(Ram::new("memory", 64)),
        simulated(Loader::new(0x100, Width::U32)),
    ] {
        assert_eq!(there(&check(&device)), all);
    }
    let findings = check(&simulated(Edu::new()));
    let expected = [
        "configuration space",
        "bus mastering",
        "BARs",
        "INTx",
        "MSI",
        "DMA",
        "reset",
    ];
    assert_eq!(there(&findings), expected);
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], "configuration space  yes");
    assert_eq!(lines[6], "MSI-X                -");
}

/// A backend with a mistake.
#[derive(Debug)]
struct Wrong {
    device: SimulatedDevice,
    mistake: Mistake,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    BusMasterAfterReset,
    ResetFails,
    BarSixIsThere,
    MissingBarIsOther,
    CommandIsWrittenWhole,
    BarWithoutName,
}

impl PciDevice for Wrong {
    fn address(&self) -> PciAddress {
        self.device.address()
    }

    fn config(&self) -> ConfigSpace<'_> {
        self.device.config()
    }

    fn bar(&self, index: u8) -> Result<Bar> {
        match self.mistake {
            Mistake::BarSixIsThere if index == 6 => self.device.bar(0),
            Mistake::MissingBarIsOther if index == 3 => {
                Err(Error::new(ErrorKind::Other, "no such BAR"))
            }
            Mistake::BarWithoutName => Ok(Bar::called(Ram::new("a BAR", 64))),
            _ => self.device.bar(index),
        }
    }

    fn interrupts(&self) -> Option<&dyn Interrupts> {
        self.device.interrupts()
    }

    fn dma(&self) -> Option<&DmaSpace> {
        self.device.dma()
    }

    fn set_bus_master(&self, on: bool) -> Result<()> {
        self.device.set_bus_master(on)?;
        if self.mistake == Mistake::CommandIsWrittenWhole {
            self.device.set_memory_decode(!on)?;
        }
        Ok(())
    }

    fn reset(&self) -> Result<()> {
        if self.mistake == Mistake::ResetFails {
            return Err(Error::new(ErrorKind::Other, "no reset"));
        }
        self.device.reset()?;
        self.device
            .set_bus_master(self.mistake == Mistake::BusMasterAfterReset)
    }
}

#[test]
fn each_mistake_is_found_where_it_is() {
    let mistakes = [
        (Mistake::BusMasterAfterReset, "reset", "afterwards"),
        (Mistake::ResetFails, "reset", "resetting: no reset"),
        (Mistake::BarSixIsThere, "BARs", "BAR 6 is not refused"),
        (Mistake::MissingBarIsOther, "BARs", "BAR 3: no such BAR"),
        (
            Mistake::CommandIsWrittenWhole,
            "bus mastering",
            "other bits of Command",
        ),
        (
            Mistake::BarWithoutName,
            "BARs",
            "does not name 0000:01:00.0",
        ),
    ];
    for (mistake, what, how) in mistakes {
        let device = simulated(Edu::new());
        let findings = check(&Wrong { device, mistake });
        let found: Vec<_> = broken(&findings).collect();
        let there = found.iter().find(|finding| finding.what == what);
        let Some(Verdict::Broken(found)) = there.map(|finding| &finding.verdict) else {
            panic!("{mistake:?} is not found: {findings:?}");
        };
        assert!(found.contains(how), "{mistake:?}: {found}");
    }
}
