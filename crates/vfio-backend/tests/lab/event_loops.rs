//! Interrupts through the event loops of other crates: the examples, as they stand.

use crate::places::EDU;
use io_core::irq::InterruptKind::{Intx, Msi};
use lab_guest::{Bound, modes};

#[path = "../../examples/with_mio.rs"]
#[expect(dead_code, reason = "its main is for people")]
mod with_mio;
#[path = "../../examples/with_tokio.rs"]
#[expect(dead_code, reason = "its main is for people")]
mod with_tokio;

/// Some factorials, one after the other.
const FACTORIALS: [(u32, u32); 3] = [(5, 120), (10, 3_628_800), (12, 479_001_600)];

#[test]
#[ignore = "needs the lab"]
fn an_interrupt_comes_through_mio() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        let device = bound.open_in(mode);
        for kind in [Msi, Intx] {
            for (n, factorial) in FACTORIALS {
                let result = with_mio::factorial(&device, kind, n).unwrap();
                assert_eq!(result, factorial, "{mode}, {kind}");
            }
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn an_interrupt_comes_through_tokio() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for mode in modes() {
        let bound = Bound::new(EDU);
        let device = bound.open_in(mode);
        for kind in [Msi, Intx] {
            for (n, factorial) in FACTORIALS {
                let result = with_tokio::factorial(&device, kind, n);
                assert_eq!(
                    runtime.block_on(result).unwrap(),
                    factorial,
                    "{mode}, {kind}"
                );
            }
        }
    }
}
