//! All virtual functions of a device at once: as many as QEMU has.

mod vfs {
    use crate::{binding::machine, ok, run, text};
    use lab_guest::results;
    use std::{fs, path::Path, time::Instant};

    /// The drive that may have virtual functions, and how many.
    const PHYSICAL: &str = "/sys/bus/pci/devices/0000:06:00.0";
    const COUNT: usize = 127;

    /// The virtual functions, until this is dropped. No driver of the kernel's own takes them.
    struct VirtualFunctions(Vec<String>);

    impl VirtualFunctions {
        fn new() -> Self {
            let physical = Path::new(PHYSICAL);
            fs::write(physical.join("sriov_drivers_autoprobe"), "0").unwrap();
            fs::write(physical.join("sriov_numvfs"), COUNT.to_string()).unwrap();
            let link = |number| fs::read_link(physical.join(format!("virtfn{number}"))).unwrap();
            let name = |number| {
                link(number)
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            };
            Self((0..COUNT).map(name).collect())
        }
    }

    impl Drop for VirtualFunctions {
        fn drop(&mut self) {
            fs::write(Path::new(PHYSICAL).join("sriov_numvfs"), "0").unwrap();
        }
    }

    fn bound() -> usize {
        let names = fs::read_dir("/sys/bus/pci/drivers/vfio-pci").unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("0000:06:")).count()
    }

    #[test]
    #[ignore = "needs the lab"]
    fn all_are_bound_and_released_by_one_command_each() {
        let functions = VirtualFunctions::new();
        let before = machine();
        let names: Vec<&str> = functions.0.iter().map(String::as_str).collect();
        let started = Instant::now();
        let output = run(&[&["bind"], &names[..]].concat());
        let bind = started.elapsed();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.ends_with("done: 127 of 127 devices\n"), "{said}");
        assert_eq!(
            text(&output.stdout)
                .matches("is bound to vfio-pci now")
                .count(),
            COUNT
        );
        assert_eq!(bound(), COUNT);

        let started = Instant::now();
        ok(&[&["release"], &names[..]].concat());
        let release = started.elapsed();
        assert_eq!(bound(), 0);
        assert_eq!(machine(), before);

        let few = &names[..16];
        let started = Instant::now();
        few.iter().for_each(|name| drop(ok(&["bind", name])));
        let singly = started.elapsed();
        ok(&[&["release"], few].concat());
        assert_eq!(machine(), before);
        let times = format!(
            "{COUNT} at once: bind {bind:?}, release {release:?}; 16 one by one: bind {singly:?}\n"
        );
        fs::write(results().join("many.txt"), times).unwrap();
    }
}
