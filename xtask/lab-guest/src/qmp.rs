//! QEMU's monitor, from inside the guest.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

/// How long QEMU may take for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The name of the virtio port.
const PORT: &str = "outboard.qmp";

/// A connection to the QEMU Machine Protocol of the QEMU that the guest runs in.
///
/// There is one at a time: a second one waits for nothing and fails with `EBUSY`.
pub struct Qmp {
    port: File,
    received: Vec<u8>,
    events: VecDeque<Value>,
    id: u64,
}

impl Qmp {
    /// Opens the port.
    ///
    /// # Errors
    ///
    /// The lab was started without `--qmp`, or QEMU does not answer.
    pub fn connect() -> io::Result<Self> {
        let port = OpenOptions::new().read(true).write(true).open(node()?)?;
        let mut qmp = Self {
            port,
            received: Vec::new(),
            events: VecDeque::new(),
            // What an earlier connection left unread has another id.
            id: u64::from(std::process::id()) << 32,
        };
        // QEMU has one connection for all of ours: after the first one it says that this was done, as an error.
        qmp.send("qmp_capabilities", &json!({}))?;
        qmp.answer()?;
        Ok(qmp)
    }

    /// Runs a command of QEMU's and returns its result (QEMU's QMP reference, "Commands").
    ///
    /// # Errors
    ///
    /// QEMU refused it, with its reason, or did not answer within 30 s.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> io::Result<Value> {
        self.send(command, arguments)?;
        let answer = self.answer()?;
        match (answer.get("return"), answer.pointer("/error/desc")) {
            (Some(result), _) => Ok(result.clone()),
            (None, reason) => Err(io::Error::other(format!(
                "QEMU refused {command} {arguments}: {}",
                reason.and_then(Value::as_str).unwrap_or("no reason")
            ))),
        }
    }

    /// Runs a command of QEMU's human monitor and returns what it says; a failure is in those words only.
    ///
    /// # Errors
    ///
    /// As [`Self::execute`].
    pub fn human(&mut self, line: &str) -> io::Result<String> {
        let said = self.execute("human-monitor-command", &json!({ "command-line": line }))?;
        Ok(said.as_str().unwrap_or_default().to_owned())
    }

    /// Plugs the device `driver` into the port or bridge `bus`, under the name `id`. No option ROM is looked for. Devices
    /// with properties go by [`Self::execute`].
    ///
    /// # Errors
    ///
    /// As [`Self::execute`].
    pub fn device_add(&mut self, bus: &str, driver: &str, id: &str) -> io::Result<()> {
        let device = json!({ "bus": bus, "driver": driver, "id": id, "romfile": "" });
        self.execute("device_add", &device).map(drop)
    }

    /// Asks the guest to give the device `id` back. It is gone at the [event](Self::event) `DEVICE_DELETED`.
    ///
    /// # Errors
    ///
    /// As [`Self::execute`].
    pub fn device_del(&mut self, id: &str) -> io::Result<()> {
        self.execute("device_del", &json!({ "id": id })).map(drop)
    }

    /// Makes the device `id` report an error, such as `BAD_TLP` (QEMU's monitor, `pcie_aer_inject_error`).
    ///
    /// # Errors
    ///
    /// As [`Self::execute`]; and QEMU's words, if it does not know the device or the error.
    pub fn pcie_aer_inject_error(&mut self, id: &str, error: &str) -> io::Result<()> {
        let said = self.human(&format!("pcie_aer_inject_error {id} {error}"))?;
        if said.starts_with("OK ") {
            Ok(())
        } else {
            Err(io::Error::other(said))
        }
    }

    /// Waits for the event `name`, also one that came since the connection was made, and returns its data.
    ///
    /// # Errors
    ///
    /// `TimedOut`: it did not come within `limit`.
    pub fn event(&mut self, name: &str, limit: Duration) -> io::Result<Value> {
        let deadline = Instant::now() + limit;
        loop {
            while let Some(event) = self.events.pop_front() {
                if event.get("event").and_then(Value::as_str) == Some(name) {
                    return Ok(event.get("data").cloned().unwrap_or_default());
                }
            }
            let message = self.receive(deadline)?;
            self.events.push_back(message);
        }
    }

    fn send(&mut self, command: &str, arguments: &Value) -> io::Result<()> {
        self.id += 1;
        let message = json!({ "execute": command, "arguments": arguments, "id": self.id });
        self.port.write_all(format!("{message}\n").as_bytes())
    }

    /// The answer to what was sent last. Events that come before it are kept.
    fn answer(&mut self) -> io::Result<Value> {
        let deadline = Instant::now() + ANSWER_LIMIT;
        loop {
            let message = self.receive(deadline)?;
            if message.get("id").and_then(Value::as_u64) == Some(self.id) {
                return Ok(message);
            }
            if message.get("event").is_some() {
                self.events.push_back(message);
            }
        }
    }

    /// The next message: one a line.
    fn receive(&mut self, deadline: Instant) -> io::Result<Value> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                // The end of a line that an earlier connection began to read is no message.
                if let Ok(message) = serde_json::from_slice(&line) {
                    return Ok(message);
                }
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            if poll(
                &mut [PollFd::new(self.port.as_fd(), PollFlags::POLLIN)],
                left,
            )? == 0
            {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "QEMU said nothing more",
                ));
            }
            let mut bytes = [0; 4096];
            let length = self.port.read(&mut bytes)?;
            self.received.extend(bytes.iter().take(length));
        }
    }
}

/// The device node of the port.
fn node() -> io::Result<PathBuf> {
    for port in fs::read_dir("/sys/class/virtio-ports")? {
        let port = port?;
        let name = fs::read_to_string(port.path().join("name")).unwrap_or_default();
        if name.trim_end() == PORT {
            return Ok(PathBuf::from("/dev").join(port.file_name()));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("there is no virtio port {PORT}: the lab was started without --qmp"),
    ))
}
