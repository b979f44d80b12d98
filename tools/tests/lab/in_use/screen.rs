//! Screens in use, in a machine that has one.

use super::{Running, in_use, until};
use crate::{ok, users::found};
use std::{fs, path::Path};

const CARD: &str = "0000:02:00.0";

/// The output of the card that shows a picture: `card0-Virtual-1`.
fn output() -> Option<String> {
    let outputs = fs::read_dir("/sys/class/drm").unwrap();
    let mut names = outputs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.find(|name| {
        let enabled = fs::read_to_string(format!("/sys/class/drm/{name}/enabled"));
        enabled.is_ok_and(|enabled| enabled.trim() == "enabled")
    })
}

#[test]
#[ignore = "needs the lab"]
fn a_graphics_card_that_shows_the_console_and_is_drawn_on() {
    until("a console", || {
        Path::new("/sys/class/graphics/fb0").exists()
    });
    until("a picture", || output().is_some());
    let output = output().unwrap();
    let shown = [
        format!("display: {CARD} is what the firmware and the boot loader show themselves on"),
        format!("display: a screen at {output} shows a picture of {CARD}"),
        format!("display: fb0 of {CARD} is a console"),
    ];
    in_use(CARD, &shown);

    let card = output.split('-').next().unwrap();
    let script = format!("exec 9</dev/dri/{card}; exec sleep 600");
    let drawing = Running::new("sh", &["-c", &script]);
    let open = format!(
        "open: sleep (process {}) has /dev/dri/{card} open",
        drawing.id()
    );
    until("a client", || found(CARD).contains(&open));
    in_use(CARD, &[shown.as_slice(), &[open]].concat());
    drop(drawing);

    // Who agrees to see nothing any more may have it.
    ok(&["bind", CARD, "--allow", "display"]);
    ok(&["release", CARD]);
    until("a console again", || {
        Path::new("/sys/class/graphics/fb0").exists()
    });
    assert_eq!(found(CARD)[0], shown[0]);
}
