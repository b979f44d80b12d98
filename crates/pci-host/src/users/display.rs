//! What is seen on a screen.

use super::{Code, Finding};
use crate::{Host, PciFunction, host::read, select::device_of};

/// Whether somebody may be looking at it.
pub(super) fn users(host: &Host, function: &PciFunction) -> Vec<Finding> {
    let address = function.address;
    let finding = |sentence: String| {
        Finding::new(
            Code::Display,
            sentence,
            "use another graphics card, or none, for what is to be seen",
        )
    };
    let mut found = Vec::new();
    if host.attribute(address, "boot_vga").as_deref() == Some("1") {
        found.push(finding(format!(
            "{address} is what the firmware and the boot loader show themselves on"
        )));
    }
    let of_it = |class: &str| {
        let dir = host.sys().join("class").join(class);
        let names = host
            .class(class)
            .into_iter()
            .map(move |name| (dir.join(&name), name));
        names
            .filter(|(link, _)| device_of(link) == Some(address))
            .collect::<Vec<_>>()
    };
    for (_, name) in of_it("graphics") {
        found.push(finding(format!("{name} of {address} is a console")));
    }
    for (dir, name) in of_it("drm") {
        if read(&dir.join("enabled")).is_ok_and(|enabled| enabled == "enabled") {
            found.push(finding(format!(
                "a screen at {name} shows a picture of {address}"
            )));
        }
    }
    found
}
