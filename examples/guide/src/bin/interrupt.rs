//! Step 6: waiting for the device, by an interrupt.

use guide::registers::{FACTORIAL, INTERRUPT_ACKNOWLEDGE, INTERRUPT_STATUS, SIZE, STATUS};
use outboard::prelude::*;
use std::{process::ExitCode, time::Duration};

fn factorial(device: &dyn PciDevice) -> Result<()> {
    let bar = device.bar(0)?;
    let io = bar.io::<SIZE>()?;
    let none = || Error::new(ErrorKind::Unsupported, "no interrupts come here");
    let interrupts = device.interrupts().ok_or_else(none)?;
    let msi = interrupts.info(InterruptKind::Msi)?.count > 0;
    let kind = if msi {
        InterruptKind::Msi
    } else {
        InterruptKind::Intx
    };
    let vector = interrupts.enable(kind, 0..1)?.pop().ok_or_else(none)?;

    // A message is a write to memory.
    device.set_bus_master(true)?;
    io.try_update(STATUS, |status| status.with_interrupt(true))?;
    io.try_write_reg(FACTORIAL::from(12))?;
    if vector.wait(Duration::from_secs(1))?.is_none() {
        return Err(Error::new(ErrorKind::TimedOut, "no interrupt came"));
    }
    let causes = io.try_read(INTERRUPT_STATUS)?.into_raw();
    io.try_write_reg(INTERRUPT_ACKNOWLEDGE::from(causes))?;
    if kind == InterruptKind::Intx {
        // The pin is masked until its level has been seen to.
        vector.unmask()?;
    }
    println!(
        "cause {causes:#x}, 12! = {}",
        io.try_read(FACTORIAL)?.into_raw()
    );
    device.set_bus_master(false)
}

fn main() -> ExitCode {
    guide::run(factorial)
}
