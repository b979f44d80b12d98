//! igb, whose virtual functions are at 06:10.0 and 06:10.2: docs/lab.md.

mod resets;

use crate::hot::becomes;
use io_core::{ErrorKind, Io};
use lab_guest::{Bound, modes};
use std::fs;
use vfio_backend::{IommuMode, VfToken, VfioContext, VfioDevice};

const PF: &str = "06:00.0";
const VF: &str = "06:10.0";
const SECOND_VF: &str = "06:10.2";

/// The physical function with two virtual ones, which the kernel gives to vfio-pci as well.
struct Functions {
    pf: Bound,
}

impl Functions {
    fn new() -> Self {
        fs::write("/sys/module/vfio_pci/parameters/enable_sriov", "1").unwrap();
        let functions = Self { pf: Bound::new(PF) };
        functions.set(2);
        becomes(VF.parse().unwrap(), true);
        functions
    }

    /// All of them, open in one context with one token: the physical one first.
    fn open_all(&self, mode: IommuMode) -> [VfioDevice; 3] {
        let context = VfioContext::new(&self.pf.host, mode).unwrap();
        let [token, _] = tokens();
        let pf = context.open_with_token(self.pf.address, &token).unwrap();
        let [first, second] = [VF, SECOND_VF].map(|vf| {
            context
                .open_with_token(vf.parse().unwrap(), &token)
                .unwrap()
        });
        [pf, first, second]
    }

    fn set(&self, count: u8) {
        let file = format!("/sys/bus/pci/devices/{}/sriov_numvfs", self.pf.address);
        fs::write(file, count.to_string()).unwrap();
    }

    fn vf(&self, mode: IommuMode, token: Option<&VfToken>) -> io_core::Result<VfioDevice> {
        let context = VfioContext::new(&self.pf.host, mode).unwrap();
        let address = VF.parse().unwrap();
        match token {
            Some(token) => context.open_with_token(address, token),
            None => context.open(address),
        }
    }

    /// Asserts that the virtual function is for who knows this token, and for nobody else.
    fn assert_token(&self, token: &VfToken, other: &VfToken) {
        for mode in modes() {
            let device = self.vf(mode, Some(token)).unwrap();
            let bar = device.bar(0).unwrap();
            // Its status register (Intel's 82576 datasheet, 8.27).
            assert_ne!(bar.io::<0x10>().unwrap().try_read32(0x08), Ok(u32::MAX));
            drop((bar, device));
            // The kernel of the lab, Linux 6.12, asks for no token with iommufd.
            if mode == IommuMode::Type1 {
                for wrong in [Some(other), None] {
                    let error = self.vf(mode, wrong).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
                    assert!(error.hint().unwrap().contains("token"), "{error}");
                }
            }
        }
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        self.set(0);
    }
}

fn tokens() -> [VfToken; 2] {
    [1, 2].map(|byte| VfToken::from_bytes([byte; 16]))
}

#[test]
#[ignore = "needs the lab"]
fn a_virtual_function_is_for_who_knows_the_token_of_its_physical_function() {
    let functions = Functions::new();
    let [token, other] = tokens();
    for mode in modes() {
        let pf = functions.pf.open_in(mode);
        pf.set_vf_token(&token).unwrap();
        functions.assert_token(&token, &other);
        // Another one, while it is open.
        pf.set_vf_token(&other).unwrap();
        functions.assert_token(&other, &token);
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_token_stays_when_the_physical_function_is_closed() {
    let functions = Functions::new();
    let [token, other] = tokens();
    let pf = functions.pf.open_in(IommuMode::Type1);
    pf.set_vf_token(&token).unwrap();
    let vf = functions.vf(IommuMode::Type1, Some(&token)).unwrap();
    drop(pf);
    assert_ne!(vf.config().try_read16(6), Ok(u16::MAX));
    drop(vf);
    functions.assert_token(&token, &other);
}

#[test]
#[ignore = "needs the lab"]
fn a_function_without_virtual_functions_has_no_token() {
    let bound = Bound::new(crate::places::NIC);
    let error = bound
        .open()
        .unwrap()
        .set_vf_token(&tokens()[0])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
#[ignore = "needs the lab"]
fn a_hot_reset_that_takes_functions_of_others_is_refused() {
    let functions = Functions::new();
    for mode in modes() {
        let pf = functions.pf.open_in(mode);
        let taken = pf.hot_reset_functions().unwrap();
        assert!(taken.contains(&VF.parse().unwrap()), "{mode}: {taken:?}");
        let error = pf.hot_reset().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{mode}: {error}");
        assert!(error.to_string().contains(VF), "{mode}: {error}");
    }
}
