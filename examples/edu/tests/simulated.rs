//! The driver on a simulated edu: the same code as on a real one, without a card and without privileges.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use edu::{Edu, MEMORY_SIZE};
use io_core::{
    ErrorKind,
    irq::InterruptKind::{Intx, Msi},
    sim::{self, SimulatedDevice, Trouble},
};

fn device() -> SimulatedDevice {
    SimulatedDevice::new("0000:00:03.0".parse().unwrap(), sim::Edu::new())
}

#[test]
fn it_does_all_that_it_does_on_a_real_one() {
    let device = device();
    let mut edu = Edu::new(&device).unwrap();
    assert_eq!(edu.version(), (1, 0));
    for way in [None, Some(Msi), Some(Intx)] {
        if let Some(kind) = way {
            edu.use_interrupt_of(kind).unwrap();
            edu.raise(0x8001).unwrap();
        }
        edu.check_liveness(0x1234_5678).unwrap();
        assert_eq!(edu.factorial(12).unwrap(), 479_001_600);
        let there: Vec<u8> = (0..=250).cycle().take(MEMORY_SIZE).collect();
        let mut back = vec![0; MEMORY_SIZE];
        edu.write(0, &there).unwrap();
        edu.read(0, &mut back).unwrap();
        assert_eq!(back, there, "{way:?}");
    }
}

#[test]
fn it_waits_for_what_is_late_and_takes_nothing_wrong_for_right() {
    let device = device();
    let edu = Edu::new(&device).unwrap();
    let (bar, at, mask, value) = (0, 0x20, 1, 1);
    let reads = Some(3);
    device.trouble(Trouble::Stuck {
        bar,
        at,
        mask,
        value,
        reads,
    });
    assert_eq!(edu.factorial(5).unwrap(), 120);

    edu.write(0, b"all of it").unwrap();
    device.trouble(Trouble::ShortDma(3));
    let mut back = [0; 9];
    edu.read(0, &mut back).unwrap();
    assert_eq!(&back[..3], b"all");
    assert_ne!(
        &back[3..],
        b" of it",
        "what was not transferred is not there from before"
    );
    device.end_trouble();

    device.trouble(Trouble::Ones);
    assert_eq!(edu.factorial(5).unwrap_err().kind(), ErrorKind::Lost);
    assert!(edu.check_liveness(1).is_err());
    device.end_trouble();
    device.trouble(Trouble::LostAfter(1));
    assert_eq!(edu.factorial(5).unwrap_err().kind(), ErrorKind::Lost);
}
