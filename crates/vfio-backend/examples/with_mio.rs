//! A factorial by QEMU's edu, whose interrupt comes through mio's `Poll`: `cargo run --example with_mio 00:03.0`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program for people")]

use io_core::{
    Io, PciDevice,
    irq::InterruptKind::{self, Intx},
};
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use pci_host::Host;
use std::{env, error::Error, time::Duration};
use vfio_backend::VfioDevice;

const INTERRUPT: Token = Token(0);

/// Lets the device compute `n!`, and waits for its interrupt of this kind.
pub fn factorial(
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

    let mut poll = Poll::new()?;
    let fd = irq.as_raw_fd();
    poll.registry()
        .register(&mut SourceFd(&fd), INTERRUPT, Interest::READABLE)?;
    let mut events = Events::with_capacity(8);

    registers.write32::<0x20>(0x80); // interrupt when it is done
    registers.write32::<0x08>(n);
    loop {
        poll.poll(&mut events, Some(Duration::from_secs(5)))?;
        if events.is_empty() {
            return Err("no interrupt within 5 s".into());
        }
        for event in &events {
            // mio tells of an event once: what there is has to be taken now.
            if event.token() == INTERRUPT && irq.wait(Duration::ZERO)?.is_some() {
                let causes = registers.read32::<0x24>();
                registers.write32::<0x64>(causes);
                if kind == Intx {
                    irq.unmask()?;
                }
                return Ok(registers.read32::<0x08>());
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).ok_or("which device? such as 00:03.0")?;
    let device = VfioDevice::open(&Host::system(), address.parse()?)?;
    println!("10! = {}", factorial(&device, InterruptKind::Msi, 10)?);
    Ok(())
}
