//! What is seen on a screen.

use super::{Code, Finding};
use crate::{Host, PciFunction, bind::hands_to_userspace, host::read, select::device_of};

/// That the firmware showed itself on it when the machine started, whoever has it now.
pub(crate) fn boot_display(host: &Host, function: &PciFunction) -> Option<Finding> {
    let address = function.address;
    let is_it = host.attribute(address, "boot_vga").as_deref() == Some("1");
    is_it.then(|| {
        finding(format!(
            "{address} is what the firmware and the boot loader show themselves on"
        ))
    })
}

fn finding(sentence: String) -> Finding {
    Finding::new(
        Code::Display,
        sentence,
        "use another graphics card, or none, for what is to be seen",
    )
}

/// Whether somebody may be looking at it.
pub(super) fn users(host: &Host, function: &PciFunction) -> Vec<Finding> {
    let address = function.address;
    let mut found = Vec::new();
    // Once a program may drive it, it shows nothing of the machine's any more: it can be given back.
    let is_handed_over = function.driver.as_deref().is_some_and(hands_to_userspace);
    if !is_handed_over {
        found.extend(boot_display(host, function));
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
