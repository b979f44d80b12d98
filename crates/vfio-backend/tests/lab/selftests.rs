//! The scenarios of the kernel's own VFIO selftests (tools/testing/selftests/vfio), under their names: docs/selftests.md
//! says which run on what, and what differs.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

/// Makes a test of each of these functions: in a module of the name given, on the devices that every machine has; and in
/// `qemu10`, on igb.
macro_rules! scenarios {
    ($machine:ident: $($name:ident)*) => {
        mod $machine {
            $(
                #[test]
                #[ignore = "needs the lab"]
                fn $name() {
                    super::$name(&crate::selftests::devices::DEVICES);
                }
            )*
        }

        mod qemu10 {
            $(
                #[test]
                #[ignore = "needs the lab"]
                fn $name() {
                    super::$name(&[crate::selftests::devices::IGB]);
                }
            )*
        }
    };
}

mod devices;
mod raw;
mod vfio_dma_mapping_mmio_test;
mod vfio_dma_mapping_test;
mod vfio_iommufd_setup_test;
mod vfio_pci_device_init_perf_test;
mod vfio_pci_device_test;
mod vfio_pci_driver_test;
