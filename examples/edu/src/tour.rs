//! All that an edu can do, once.

use crate::{Edu, MEMORY_SIZE};
use io_core::{Error, ErrorKind, PciDevice, Result};

/// Lets the device do all that it can, by what carries it and for that reason, and tells of it in lines.
///
/// # Errors
///
/// It cannot, or gives wrong results.
pub fn tour(
    device: &dyn PciDevice,
    (carrier, reason): (&str, &str),
    mut tell: impl FnMut(&str),
) -> Result<()> {
    let mut edu = Edu::new(device)?;
    let ((major, minor), address) = (edu.version(), device.address());
    tell(&format!(
        "edu {major}.{minor} at {address}, by {carrier}: {reason}"
    ));
    edu.check_liveness(0x1234_5678)?;
    tell("alive");
    tell(&format!("polled: 10! = {}", edu.factorial(10)?));
    tell(&copy_there_and_back(device, &edu, "polled")?);
    if device.interrupts().is_none() {
        tell(&format!("no interrupts come by {carrier}"));
        return Ok(());
    }
    let kind = edu.use_interrupt()?;
    edu.raise(0x8000)?;
    tell(&format!("{kind}: raised and acknowledged"));
    tell(&format!("{kind}: 12! = {}", edu.factorial(12)?));
    tell(&copy_there_and_back(device, &edu, &kind.to_string())?);
    Ok(())
}

/// Fills the device's memory by DMA, and compares what it gives back, if it can have memory.
fn copy_there_and_back(device: &dyn PciDevice, edu: &Edu<'_>, how: &str) -> Result<String> {
    if device.dma().is_none() {
        return Ok(format!("{how}: no memory for it, and so no copies"));
    }
    let there: Vec<u8> = (0..=250).cycle().take(MEMORY_SIZE).collect();
    let mut back = vec![0; MEMORY_SIZE];
    edu.write(0, &there)?;
    edu.read(0, &mut back)?;
    let mut pairs = there.iter().zip(&back);
    match pairs.position(|(there, back)| there != back) {
        None => Ok(format!("{how}: {MEMORY_SIZE} bytes copied there and back")),
        Some(offset) => {
            let message =
                format!("what came back from the device differs from offset {offset:#x} on");
            Err(Error::new(ErrorKind::Other, message))
        }
    }
}
