//! Resets: of a function alone, and of all that are behind the same slot or bus.

use crate::{
    VfioDevice,
    sys::reset::{self, Owner, Taken},
};
use io_core::{Error, ErrorKind, PciDevice, Result, pci::PciAddress};
use nix::errno::Errno;
use std::{io, os::fd::AsFd, thread::sleep, time::Duration};
use vfio_bindings::bindings::vfio::VFIO_DEVICE_FLAGS_RESET;

impl VfioDevice {
    /// Resets it alone, by the first way of [`reset_methods`](pci_host::PciFunction::reset_methods) that works: function level
    /// reset, power management, or the bus, if it has it for itself.
    ///
    /// Afterwards the configuration space is what it was, as far as the kernel saves it (the header with the BARs; PCI
    /// Express, MSI and MSI-X, and other capabilities), and bus mastering is off; interrupts that were enabled are enabled
    /// still; mapped BARs are valid; memory is mapped for the device. What the driver told the device itself is lost.
    ///
    /// Memory decoding that was off is off, as it is after a [fatal error](io_core::event::DeviceEvent::Failed): the memory
    /// bit of Command is for the driver to set, before or after. A physical function takes its virtual ones, which nobody tells.
    ///
    /// # Errors
    ///
    /// There is no way to reset it alone ([`ErrorKind::Unsupported`]), or the kernel failed.
    #[doc(alias = "VFIO_DEVICE_RESET")]
    pub fn reset(&self) -> Result<()> {
        let address = self.address();
        if self.flags() & VFIO_DEVICE_FLAGS_RESET == 0 {
            let message = format!("the kernel knows no way to reset {address} alone");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        self.stop_bus_mastering();
        patiently(|| reset::device_reset(self.file().as_fd()))
            .map_err(|errno| self.reset_failed("reset", errno))?;
        self.irqs().rearm()
    }

    /// The functions that a [hot reset](Self::hot_reset) of it resets: all behind the same slot or bus, itself among them.
    ///
    /// # Errors
    ///
    /// There is no hot reset for it ([`ErrorKind::Unsupported`]): it is on the root bus.
    #[doc(alias = "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO")]
    pub fn hot_reset_functions(&self) -> Result<Vec<PciAddress>> {
        let taken = self.hot_reset_takes()?;
        Ok(taken.into_iter().map(|taken| taken.address).collect())
    }

    /// Resets it and all of [`hot_reset_functions`](Self::hot_reset_functions), by their slot or bus.
    ///
    /// All of them are bound to vfio-pci, and in groups of which this program has opened a device in the same
    /// [`VfioContext`](crate::VfioContext). For those that are open there, all is as after a [`reset`](Self::reset): bus
    /// mastering is off, and interrupts are enabled still.
    ///
    /// # Errors
    ///
    /// There is no hot reset for it ([`ErrorKind::Unsupported`]); it takes functions that are not this context's, or virtual
    /// ones, with which the kernel refuses it whoever has them ([`ErrorKind::Busy`]); or the kernel failed.
    #[doc(alias = "VFIO_DEVICE_PCI_HOT_RESET")]
    pub fn hot_reset(&self) -> Result<()> {
        let taken = self.hot_reset_takes()?;
        self.check_virtual(&taken)?;
        let open: Vec<_> = self
            .context()
            .devices()
            .into_iter()
            .filter(|device| taken.iter().any(|t| t.address == device.address()))
            .collect();
        self.context().with_groups(|groups| {
            let not_ours: Vec<_> = taken
                .iter()
                .filter(|taken| match taken.owner {
                    Owner::Group(number) => !groups.contains_key(&number),
                    Owner::Iommufd(owned) => !owned,
                })
                .collect();
            if !not_ours.is_empty() {
                return Err(self.not_ours(&not_ours));
            }
            open.iter().for_each(Self::stop_bus_mastering);
            let fds: Vec<_> = groups
                .iter()
                .filter(|(number, _)| {
                    let of =
                        |t: &Taken| matches!(t.owner, Owner::Group(group) if group == **number);
                    taken.iter().any(of)
                })
                .map(|(_, group)| group.as_fd())
                .collect();
            patiently(|| reset::pci_hot_reset(self.file().as_fd(), &fds))
                .map_err(|errno| self.hot_reset_failed(&taken, errno))
        })?;
        open.iter().try_for_each(|device| device.irqs().rearm())
    }

    /// A device that is being reset must not write to memory, nor start to right afterwards. One that does not answer,
    /// of which it cannot be known, may after the reset.
    fn stop_bus_mastering(&self) {
        if let Err(error) = self.set_bus_master(false) {
            let address = self.address();
            log::warn!("resetting {address} although its bus mastering may be on: {error}");
        }
    }

    fn reset_failed(&self, what: &str, errno: Errno) -> Error {
        let address = self.address();
        let source = io::Error::from(errno);
        if !PciDevice::is_present(self) {
            let message = format!("cannot {what} {address}, which does not answer any more");
            return Error::new(ErrorKind::Lost, message).with_source(source);
        }
        let message = format!("cannot {what} {address}");
        match errno {
            Errno::EAGAIN => {}
            Errno::ENOTTY => {
                let hint = "its bus cannot be reset, or its link did not come back: see dmesg";
                return Error::from_os(message, source).with_hint(hint);
            }
            _ => return Error::from_os(message, source),
        }
        Error::new(ErrorKind::Busy, message)
            .with_source(source)
            .with_hint(
                "the kernel does not reset what is being removed: has its removal been requested?",
            )
    }

    fn hot_reset_takes(&self) -> Result<Vec<Taken>> {
        let address = self.address();
        reset::get_pci_hot_reset_info(self.file().as_fd()).map_err(|errno| match errno {
            Errno::ENODEV => {
                let message = format!("{address} has no hot reset: it is behind no slot or bridge");
                Error::new(ErrorKind::Unsupported, message)
            }
            _ => {
                let message = format!("cannot ask VFIO for the hot reset of {address}");
                Error::from_os(message, io::Error::from(errno))
            }
        })
    }

    /// Refuses what would take virtual functions: to the kernel, each is a set of devices of its own, so that nobody has all
    /// of what is reset (`vfio_pci_core_register_device` in its drivers/vfio/pci/vfio_pci_core.c).
    fn check_virtual(&self, taken: &[Taken]) -> Result<()> {
        let host = self.context().host();
        let addresses = taken.iter().map(|taken| taken.address);
        let (names, of): (Vec<_>, Vec<_>) = addresses
            .filter_map(|address| Some((address.to_string(), host.physical_function(address)?)))
            .unzip();
        let Some(physical) = of.first() else {
            return Ok(());
        };
        let message = format!(
            "a hot reset of {} would reset virtual functions: {}",
            self.address(),
            names.join(", ")
        );
        Err(Error::new(ErrorKind::Busy, message).with_hint(format!(
            "reset it alone, or remove them first: echo 0 | sudo tee /sys/bus/pci/devices/{physical}/sriov_numvfs"
        )))
    }

    fn not_ours(&self, functions: &[&Taken]) -> Error {
        let names: Vec<_> = functions.iter().map(|f| f.address.to_string()).collect();
        let message = format!(
            "a hot reset of {} would reset {}, which this program has not opened",
            self.address(),
            names.join(", ")
        );
        Error::new(ErrorKind::Busy, message)
            .with_hint("bind them to vfio-pci, and open them in the same VfioContext")
    }

    fn hot_reset_failed(&self, taken: &[Taken], errno: Errno) -> Error {
        let error = self.reset_failed("hot reset", errno);
        if errno != Errno::EINVAL && errno != Errno::EPERM {
            return error;
        }
        let names: Vec<_> = taken.iter().map(|t| t.address.to_string()).collect();
        error.with_hint(format!(
            "all that it resets have to be bound to vfio-pci: {}",
            names.join(", ")
        ))
    }
}

/// Tries again while somebody else holds the lock of the bus.
fn patiently(reset: impl Fn() -> nix::Result<()>) -> nix::Result<()> {
    for _ in 0..20 {
        match reset() {
            Err(Errno::EAGAIN) => sleep(Duration::from_millis(10)),
            result => return result,
        }
    }
    Err(Errno::EAGAIN)
}
