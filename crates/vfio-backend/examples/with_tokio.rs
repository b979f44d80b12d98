//! A factorial by QEMU's edu, whose interrupt comes through tokio's `AsyncFd`: `cargo run --example with_tokio 00:03.0`.
#![expect(
    unsafe_code,
    reason = "tokio takes the word of its user that a descriptor stays open"
)]
#![expect(clippy::print_stdout, reason = "a program for people")]

use io_core::{
    Io, PciDevice, Result as DeviceResult,
    irq::{
        Interrupt,
        InterruptKind::{self, Intx},
    },
};
use pci_host::Host;
use std::{
    env,
    error::Error,
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    runtime::Builder,
    time::timeout,
};
use vfio_backend::VfioDevice;

/// Waits for events of a vector, and returns how many there were.
async fn events(irq: &dyn Interrupt, fd: &AsyncFd<BorrowedFd<'_>>) -> DeviceResult<u64> {
    loop {
        let mut ready = fd.readable().await.map_err(|e| {
            let message = "cannot wait for an interrupt";
            io_core::Error::from_os(message, e)
        })?;
        // Before it is taken: an event that comes in between is told of again.
        ready.clear_ready();
        if let Some(count) = irq.wait(Duration::ZERO)? {
            return Ok(count);
        }
    }
}

/// Lets the device compute `n!`, and waits for its interrupt of this kind.
pub async fn factorial(
    device: &dyn PciDevice,
    kind: InterruptKind,
    n: u32,
) -> Result<u32, Box<dyn Error>> {
    let bar = device.bar(0)?;
    let registers = bar.mmio::<0x100>()?;
    registers.write32::<0x64>(u32::MAX); // acknowledge what was before
    let interrupts = device.interrupts().ok_or("no interrupts")?;
    let irq = interrupts.enable(kind, 0..1)?.pop().ok_or("no vector")?;
    device.set_bus_master(true)?;
    // SAFETY: what is borrowed is open, and the same, until `fd` is dropped, which is before `irq` is.
    let fd = unsafe { AsyncFd::register_with_interest(irq.as_fd(), Interest::READABLE) };
    let fd = fd.map_err(io::Error::from)?;

    registers.write32::<0x20>(0x80); // interrupt when it is done
    registers.write32::<0x08>(n);
    timeout(Duration::from_secs(5), events(&*irq, &fd)).await??;
    let causes = registers.read32::<0x24>();
    registers.write32::<0x64>(causes);
    if kind == Intx {
        irq.unmask()?;
    }
    Ok(registers.read32::<0x08>())
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).ok_or("which device? such as 00:03.0")?;
    let device = VfioDevice::open(&Host::system(), address.parse()?)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(factorial(&device, InterruptKind::Msi, 10))?;
    println!("10! = {result}");
    Ok(())
}
