//! A program that works on a device while a test does something to that device.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

/// A program that runs until it ends by itself, or this is dropped.
pub struct Load {
    child: Child,
    lines: Receiver<String>,
    output: String,
    error: Option<JoinHandle<String>>,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: i32,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub error: String,
}

impl Load {
    /// Starts a program, and waits until it has said so: until its first line.
    ///
    /// # Panics
    ///
    /// It cannot be started, or ends before.
    #[must_use]
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("a program");
        let (sender, lines) = channel();
        let output = child.stdout.take().expect("a pipe");
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut error = child.stderr.take().expect("a pipe");
        let error = thread::spawn(move || {
            let mut text = String::new();
            match error.read_to_string(&mut text) {
                Ok(_) => text,
                Err(error) => format!("{text} ({error})"),
            }
        });
        let mut load = Self {
            child,
            lines,
            output: String::new(),
            error: Some(error),
        };
        load.says("", Duration::from_secs(20));
        load
    }

    /// Waits for a line with this in it.
    ///
    /// # Panics
    ///
    /// There is none within `limit`.
    pub fn says(&mut self, text: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = line.contains(text);
                    self.output += &line;
                    self.output.push('\n');
                    if found {
                        return;
                    }
                }
                Err(why) => {
                    let ended = self.stop();
                    panic!("it does not say {text:?} ({why}): {ended:?}");
                }
            }
        }
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    ///
    /// It does not end within `limit`, or a signal ends it.
    #[must_use]
    pub fn ends(mut self, limit: Duration) -> Ended {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.child.try_wait().expect("a child");
            if let Some(status) = status {
                let ended = self.collect(status.code().unwrap_or(-1));
                let signal = status.signal();
                assert!(signal.is_none(), "signal {signal:?} ended it: {ended:?}");
                return ended;
            }
            if Instant::now() > deadline {
                let ended = self.stop();
                panic!("it does not end within {limit:?}: {ended:?}");
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// Kills it, and returns what it has said.
    fn stop(&mut self) -> Ended {
        // It may have ended meanwhile.
        let _ = self.child.kill();
        let status = self.child.wait().expect("a child");
        self.collect(status.code().unwrap_or(-1))
    }

    fn collect(&mut self, status: i32) -> Ended {
        // Until the pipe is closed.
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            self.output += &line;
            self.output.push('\n');
        }
        let error = self.error.take().map(JoinHandle::join);
        Ended {
            status,
            output: std::mem::take(&mut self.output),
            error: error.and_then(Result::ok).unwrap_or_default(),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if self.error.is_some() {
            self.stop();
        }
    }
}
