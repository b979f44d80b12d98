//! Drivers that are not loaded yet.

mod stock {
    use crate::{
        IVSHMEM,
        binding::{machine, sh},
        fails, json, ok, sysfs,
    };
    use std::{fs, path::Path};

    const LOADED: &str = "/sys/bus/pci/drivers/vfio-pci";

    /// vfio-pci, as the guest has loaded it; and then again, whatever happens.
    struct Unloaded;

    impl Unloaded {
        fn new() -> Self {
            sh("rmmod vfio_pci");
            assert!(!Path::new(LOADED).exists());
            Self
        }
    }

    impl Drop for Unloaded {
        fn drop(&mut self) {
            sh("rm -rf /lib/modules");
            if !Path::new(LOADED).exists() {
                sh("insmod /lab/modules/*-vfio_pci.ko");
            }
        }
    }

    #[test]
    #[ignore = "needs the lab"]
    fn a_driver_that_is_not_loaded_is_loaded_or_said_not_to_be_there() {
        let before = machine();
        let unloaded = Unloaded::new();
        // The guest's modprobe finds no modules.
        let said = fails(9, &["bind", IVSHMEM]);
        let reason = "the driver vfio-pci is not there, and could not be loaded: modprobe: ";
        assert!(said.contains(reason), "{said}");
        assert!(said.contains("sudo modprobe vfio-pci"), "{said}");
        assert_eq!(machine(), before);

        // Now it finds this one, by the list that depmod would make.
        sh(
            "dir=/lib/modules/$(uname -r); mkdir -p $dir; cp /lab/modules/*-vfio_pci.ko $dir/vfio-pci.ko; \
            echo vfio-pci.ko: > $dir/modules.dep",
        );
        let plan = json(&["bind", IVSHMEM, "--dry-run"]);
        assert_eq!(plan["data"]["devices"][0]["module"], "vfio-pci");
        assert!(ok(&["bind", IVSHMEM, "--dry-run"]).starts_with("modprobe vfio-pci\n"));
        assert!(!Path::new(LOADED).exists());
        ok(&["bind", IVSHMEM]);
        assert_eq!(sysfs(IVSHMEM).0.as_deref(), Some("vfio-pci"));
        assert!(
            fs::read_to_string("/proc/modules")
                .unwrap()
                .contains("vfio_pci ")
        );
        ok(&["release", IVSHMEM]);
        assert_eq!(machine(), before);
        drop(unloaded);
    }
}
