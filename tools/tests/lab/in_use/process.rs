//! Devices that programs have open or mapped.

use super::{Running, free, in_use};
use crate::{
    IVSHMEM,
    users::{Done, shell},
};
use io_core::PciDevice;
use pci_host::Host;
use uio_backend::UioDevice;

#[test]
#[ignore = "needs the lab"]
fn a_bar_that_a_program_has_mapped() {
    let device = UioDevice::open(&Host::system(), IVSHMEM.parse().unwrap()).unwrap();
    let bar = device.bar(2).unwrap();
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let who = format!("open: {} (process {})", name.trim(), std::process::id());
    let dir = std::fs::canonicalize(format!("/sys/bus/pci/devices/{IVSHMEM}")).unwrap();
    let dir = dir.display();
    let expected = [
        format!("{who} has {dir}/config open"),
        format!("{who} has {dir}/resource2 mapped"),
        format!("{who} has {dir}/resource2 open"),
    ];
    in_use(IVSHMEM, &expected);
    drop(bar);
    drop(device);
    free(IVSHMEM);
}

#[test]
#[ignore = "needs the lab"]
fn a_node_that_a_service_has_open() {
    let _cgroups = Done::new(
        "mkdir -p /tmp/cgroup && mount -t cgroup2 none /tmp/cgroup && \
         mkdir -p /tmp/cgroup/system.slice/smartmontools.service",
        "rmdir /tmp/cgroup/system.slice/smartmontools.service /tmp/cgroup/system.slice; umount /tmp/cgroup",
    );
    let dir = "/tmp/cgroup/system.slice/smartmontools.service";
    let service = Running::new("sh", &["-c", "exec 9</dev/nvme0; exec sleep 600"]);
    let process = service.id();
    shell(&format!("echo {process} > {dir}/cgroup.procs"));
    super::until("the node open", || {
        std::fs::read_link(format!("/proc/{process}/exe")).is_ok()
            && std::fs::read_link(format!("/proc/{process}/fd/9")).is_ok()
    });
    super::until("a sleep", || {
        let command = std::fs::read_to_string(format!("/proc/{process}/comm"));
        command.is_ok_and(|command| command.trim() == "sleep")
    });
    let expected =
        format!("open: sleep (process {process}, smartmontools.service) has /dev/nvme0 open");
    in_use("0000:04:00.0", &[expected]);
    drop(service);
    free("0000:04:00.0");
}
