//! A simulated device: a model behind the interfaces that drivers know.

use super::{
    Ram, SimulatedDma, Trouble,
    interrupt::{SimulatedInterrupt, Vector},
    trouble::Troubles,
};
use crate::{
    Bar, ConfigSpace, Error, ErrorKind, Fault, Offset, PciDevice, Region, RegionOps, Result,
    dma::{DmaSpace, Iova},
    irq::{Interrupt, InterruptInfo, InterruptKind, Interrupts},
    pci::{Command, PciAddress},
};
use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a device does: the behaviour behind its BARs.
///
/// ```
/// use io_core::{Fault, Io, Offset, PciDevice, sim::{Model, SimulatedDevice, Wires}};
///
/// /// A device that counts how often its only register is read.
/// #[derive(Debug)]
/// struct Counter(u32);
///
/// impl Model for Counter {
///     fn config(&self) -> Vec<u8> {
///         let mut bytes = vec![0; 256];
///         bytes[..4].copy_from_slice(&[0xf4, 0x1a, 0x01, 0x10]);
///         bytes
///     }
///     fn bars(&self) -> [usize; 6] {
///         [0x1000, 0, 0, 0, 0, 0]
///     }
///     fn read(&mut self, _: &Wires<'_>, _: u8, _: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
///         self.0 += 1;
///         bytes.copy_from_slice(&self.0.to_le_bytes()[..bytes.len()]);
///         Ok(())
///     }
///     fn write(&mut self, _: &Wires<'_>, _: u8, _: Offset, _: &[u8]) -> Result<(), Fault> {
///         Err(Fault::ReadOnly)
///     }
///     fn reset(&mut self) {
///         self.0 = 0;
///     }
/// }
///
/// let device = SimulatedDevice::new("0000:01:00.0".parse()?, Counter(0));
/// device.set_memory_decode(true)?;
/// let bar = device.bar(0)?;
/// let io = bar.io::<4>()?;
/// assert_eq!((io.try_read8(0)?, io.try_read32(0)?), (1, 2));
/// device.reset()?;
/// assert_eq!(io.try_read32(0)?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Model: fmt::Debug + Send + 'static {
    /// Its configuration space after power-on: 256 bytes, or 4096.
    fn config(&self) -> Vec<u8>;

    /// The sizes of its BARs in bytes; 0 for those that it has not.
    fn bars(&self) -> [usize; 6];

    /// How many vectors it has of this kind of interrupt.
    fn vectors(&self, kind: InterruptKind) -> u32 {
        let _ = kind;
        0
    }

    /// One read of a BAR, naturally aligned and in bounds, in device byte order (little-endian).
    ///
    /// # Errors
    ///
    /// It takes no such access.
    fn read(
        &mut self,
        wires: &Wires<'_>,
        bar: u8,
        at: Offset,
        bytes: &mut [u8],
    ) -> Result<(), Fault>;

    /// One write to a BAR.
    ///
    /// # Errors
    ///
    /// It takes no such access.
    fn write(&mut self, wires: &Wires<'_>, bar: u8, at: Offset, bytes: &[u8]) -> Result<(), Fault>;

    /// Everything but configuration space becomes what it was after power-on.
    fn reset(&mut self);
}

/// What a model reaches besides its own registers: memory, and interrupts.
#[derive(Debug)]
pub struct Wires<'d> {
    shared: &'d Shared,
}

impl Wires<'_> {
    /// Reads memory at `iova`, as bus master.
    ///
    /// # Errors
    ///
    /// Bus mastering is off, or not all of it is mapped for the device to read.
    pub fn read_memory(&self, iova: Iova, bytes: &mut [u8]) -> Result<()> {
        self.check_master()?;
        let len = self.shared.troubles().dma(bytes.len());
        let (bytes, _) = bytes.split_at_mut(len);
        self.shared.dma.read(iova, bytes)
    }

    /// Writes memory at `iova`, as bus master.
    ///
    /// # Errors
    ///
    /// Bus mastering is off, or not all of it is mapped for the device to write.
    pub fn write_memory(&self, iova: Iova, bytes: &[u8]) -> Result<()> {
        self.check_master()?;
        let len = self.shared.troubles().dma(bytes.len());
        let (bytes, _) = bytes.split_at(len);
        self.shared.dma.write(iova, bytes)
    }

    /// Asserts the interrupt pin, or no longer does.
    pub fn set_pin(&self, level: bool) {
        let allowed = !self.shared.command().contains(Command::INTERRUPT_DISABLE);
        if let Some(pin) = self.shared.vector(InterruptKind::Intx, 0) {
            pin.signal(level && allowed);
        }
    }

    /// Signals a vector of MSI or MSI-X, whichever is enabled. Returns whether one is: the pin is for the others.
    pub fn signal(&self, number: u32) -> bool {
        let kinds = [InterruptKind::Msi, InterruptKind::MsiX];
        let enabled = self.shared.enabled();
        let message = enabled.iter().find(|vector| kinds.contains(&vector.kind));
        let is_message = message.is_some();
        let vector = enabled
            .iter()
            .find(|vector| kinds.contains(&vector.kind) && vector.number == number);
        // A message is a write to memory.
        if let Some(vector) = vector.filter(|_| self.check_master().is_ok()) {
            vector.signal(true);
        }
        is_message
    }

    fn check_master(&self) -> Result<()> {
        if self.shared.command().contains(Command::BUS_MASTER) {
            return Ok(());
        }
        let message = format!("{} is not bus master", self.shared.address);
        Err(Error::new(ErrorKind::Unsupported, message))
    }
}

/// A PCI device that a [`Model`] plays, for tests of drivers without the card.
///
/// Whatever the model does happens in the accesses of the driver, on its thread. Cloning it gives another handle to the
/// same device: a test makes [`trouble`](Self::trouble) while a driver has the other.
#[derive(Debug, Clone)]
pub struct SimulatedDevice {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    address: PciAddress,
    pub(super) config: Ram,
    bars: [usize; 6],
    model: Mutex<Box<dyn Model>>,
    vectors: Mutex<Vec<Arc<Vector>>>,
    troubles: Mutex<Troubles>,
    dma: SimulatedDma,
    space: DmaSpace,
}

impl SimulatedDevice {
    /// The device that `model` plays, at this address.
    ///
    /// # Panics
    ///
    /// The model has neither 256 nor 4096 bytes of configuration space.
    #[must_use]
    pub fn new(address: PciAddress, model: impl Model) -> Self {
        let config = model.config();
        assert!(
            matches!(config.len(), 256 | 4096),
            "configuration space has 256 bytes or 4096"
        );
        let name = format!("the configuration space of {address}");
        let dma = SimulatedDma::new();
        Self {
            shared: Arc::new(Shared {
                address,
                config: Ram::with_bytes(name, config),
                bars: model.bars(),
                model: Mutex::new(Box::new(model)),
                vectors: Mutex::default(),
                troubles: Mutex::default(),
                space: dma.space(),
                dma,
            }),
        }
    }

    /// Makes trouble from the next access on.
    pub fn trouble(&self, trouble: Trouble) {
        self.shared.troubles().add(trouble);
    }

    /// Ends all trouble: the device is there again, as it was.
    pub fn end_trouble(&self) {
        *self.shared.troubles() = Troubles::default();
    }

    /// How many accesses to its BARs there were.
    #[must_use]
    pub fn accesses(&self) -> usize {
        self.shared.troubles().accesses()
    }
}

impl Shared {
    fn model(&self) -> MutexGuard<'_, Box<dyn Model>> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enabled(&self) -> MutexGuard<'_, Vec<Arc<Vector>>> {
        self.vectors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn vector(&self, kind: InterruptKind, number: u32) -> Option<Arc<Vector>> {
        let enabled = self.enabled();
        let mut enabled = enabled.iter();
        let found = enabled.find(|vector| vector.kind == kind && vector.number == number);
        found.cloned()
    }

    fn command(&self) -> Command {
        let mut bytes = [0; 2];
        let at = Offset::new(usize::from(Command::OFFSET));
        let read = self.config.read(at, &mut bytes);
        Command::from_bits(read.map_or(0, |()| u16::from_le_bytes(bytes)))
    }
}

/// A BAR of a simulated device.
#[derive(Debug)]
struct SimulatedBar {
    shared: Arc<Shared>,
    index: u8,
    size: usize,
}

impl SimulatedBar {
    /// Whether the device answers at all.
    fn check_decode(&self) -> Result<(), Fault> {
        if self.shared.command().contains(Command::MEMORY) {
            Ok(())
        } else {
            Err(Fault::Lost)
        }
    }
}

impl RegionOps for SimulatedBar {
    fn name(&self) -> String {
        format!("BAR {} of {}", self.index, self.shared.address)
    }

    fn size(&self) -> usize {
        self.size
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        self.check_decode()?;
        let trouble = self.shared.troubles().read(self.index, at, bytes.len())?;
        if !trouble.ones {
            let wires = Wires {
                shared: &self.shared,
            };
            self.shared.model().read(&wires, self.index, at, bytes)?;
        }
        trouble.apply(bytes);
        Ok(())
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        self.check_decode()?;
        if self.shared.troubles().write(bytes.len())? {
            return Ok(());
        }
        let wires = Wires {
            shared: &self.shared,
        };
        self.shared.model().write(&wires, self.index, at, bytes)
    }
}

impl PciDevice for SimulatedDevice {
    fn address(&self) -> PciAddress {
        self.shared.address
    }

    fn config(&self) -> ConfigSpace<'_> {
        ConfigSpace::<Region<256>>::new(&*self.shared)
            .expect("it has 256 bytes, as was checked when it was made")
    }

    fn bar(&self, index: u8) -> Result<Bar> {
        let size = self.shared.bars.get(usize::from(index));
        let Some(size) = size.copied().filter(|size| *size > 0) else {
            let message = format!("{} has no BAR {index}", self.shared.address);
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        Ok(Bar::called(SimulatedBar {
            shared: Arc::clone(&self.shared),
            index,
            size,
        }))
    }

    fn interrupts(&self) -> Option<&dyn Interrupts> {
        Some(self)
    }

    fn dma(&self) -> Option<&DmaSpace> {
        Some(&self.shared.space)
    }

    /// Resets the model. Configuration space is as before, but bus mastering is off, and interrupts stay enabled.
    fn reset(&self) -> Result<()> {
        self.set_bus_master(false)?;
        self.shared.model().reset();
        if let Some(pin) = self.shared.vector(InterruptKind::Intx, 0) {
            pin.signal(false);
        }
        Ok(())
    }
}

impl Interrupts for SimulatedDevice {
    fn info(&self, kind: InterruptKind) -> Result<InterruptInfo> {
        Ok(InterruptInfo {
            count: self.shared.model().vectors(kind),
            maskable: true,
            growable: true,
        })
    }

    fn enable(&self, kind: InterruptKind, vectors: Range<u32>) -> Result<Vec<Box<dyn Interrupt>>> {
        let (address, count) = (self.shared.address, self.info(kind)?.count);
        let refuse = |kind, message| Err(Error::new(kind, message));
        if vectors.is_empty() || vectors.end > count {
            let message = format!(
                "{address} has {count} vectors of {kind}: {}..{} are none of them",
                vectors.start, vectors.end
            );
            return refuse(ErrorKind::InvalidInput, message);
        }
        let mut enabled = self.shared.enabled();
        if let Some(other) = enabled.iter().find(|other| other.kind != kind) {
            let message = format!(
                "{address} cannot use {kind} while {} is enabled",
                other.kind
            );
            return refuse(ErrorKind::Busy, message);
        }
        if let Some(twice) = enabled.iter().find(|other| vectors.contains(&other.number)) {
            let message = format!(
                "vector {} of {kind} of {address} is enabled already",
                twice.number
            );
            return refuse(ErrorKind::Busy, message);
        }
        let new = vectors.map(|number| Vector::new(kind, number).map(Arc::new));
        let new = new
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Error::from_os(format!("cannot make the interrupts of {address}"), e))?;
        enabled.extend(new.iter().cloned());
        let interrupts = new.into_iter().map(|vector| {
            let (shared, gone) = (Arc::clone(&self.shared), Arc::clone(&vector));
            let disable = move || {
                let mut enabled = shared.enabled();
                enabled.retain(|other| !Arc::ptr_eq(other, &gone));
            };
            let disable = Box::new(disable);
            let interrupt: Box<dyn Interrupt> = Box::new(SimulatedInterrupt { vector, disable });
            interrupt
        });
        Ok(interrupts.collect())
    }
}
