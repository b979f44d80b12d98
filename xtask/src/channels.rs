//! What comes out of the guest: its command's stdout and stderr, and how it ended, each through a socket of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::thread;

use crate::error::{Context, Result};
use crate::machine::Event;

/// The names of the ports; the guest waits for the last.
pub const NAMES: [&str; 3] = [STDOUT, STDERR, STATUS];

const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";
const STATUS: &str = "status";

/// How the guest's command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Its exit status.
    pub code: u8,
    /// How many bytes it wrote to stdout and to stderr together.
    pub bytes: u64,
}

/// Listens at the sockets in `folder`, copies to our own stdout and stderr, and reports what happens to `events`.
pub fn open(folder: &Path, events: &Sender<Event>) -> Result<()> {
    let listen = |name: &str| {
        let path = folder.join(name);
        UnixListener::bind(&path).context(|| cannot_listen(&path))
    };
    let (stdout, stderr, status) = (listen(STDOUT)?, listen(STDERR)?, listen(STATUS)?);
    let sender = events.clone();
    thread::spawn(move || copy(&stdout, std::io::stdout(), &sender));
    let sender = events.clone();
    thread::spawn(move || copy(&stderr, std::io::stderr(), &sender));
    let sender = events.clone();
    thread::spawn(move || follow(&status, &sender));
    Ok(())
}

/// What is said when there can be no socket at `path`.
pub fn cannot_listen(path: &Path) -> String {
    format!(
        "cannot listen at {} (if the path is too long, set TMPDIR to a shorter one)",
        path.display()
    )
}

/// Copies what arrives, at once. An event that nobody waits for any more is nobody's loss.
fn copy(from: &UnixListener, mut to: impl Write, events: &Sender<Event>) {
    let Ok((mut stream, _)) = from.accept() else {
        return;
    };
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        let bytes = buffer.get(..length).unwrap_or_default();
        let event = match to.write_all(bytes).and_then(|()| to.flush()) {
            Ok(()) => Event::Copied(bytes.len()),
            Err(error) => Event::CannotWrite(error),
        };
        let _ = events.send(event);
    }
}

/// Reads the guest's reports.
fn follow(from: &UnixListener, events: &Sender<Event>) {
    let Ok((stream, _)) = from.accept() else {
        return;
    };
    for line in BufReader::new(stream)
        .lines()
        .map_while(std::result::Result::ok)
    {
        let event = match line.as_str() {
            "up" => Event::Up,
            "alive" => Event::Alive,
            line => Event::Done(report(line)),
        };
        let _ = events.send(event);
    }
}

/// The guest's last report: exit status, bytes of stdout, bytes of stderr.
fn report(line: &str) -> Option<Done> {
    let mut words = line.split_whitespace();
    let code = words.next()?.parse().ok()?;
    let stdout: u64 = words.next()?.parse().ok()?;
    let stderr: u64 = words.next()?.parse().ok()?;
    Some(Done {
        code,
        bytes: stdout.checked_add(stderr)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Done, report};

    #[test]
    fn a_report_is_three_numbers() {
        assert_eq!(
            report("137 5000000 12"),
            Some(Done {
                code: 137,
                bytes: 5_000_012
            })
        );
        assert_eq!(report("137"), None);
        assert_eq!(report("256 0 0"), None);
    }
}
