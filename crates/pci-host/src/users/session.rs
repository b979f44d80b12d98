//! The SSH connection through which this program was started.

use crate::Host;
use std::{fs, net::IpAddr};

/// How many processes there may be between this one and the shell of the session: sudo, a script or two.
const MOST_ANCESTORS: usize = 64;

impl Host {
    /// The address of this machine that the SSH connection of this session comes in at, if it is one.
    ///
    /// sudo takes `SSH_CONNECTION` out of the environment, so that the processes above are asked too.
    pub(super) fn ssh_address(&self) -> Option<IpAddr> {
        let mut process = "self".to_owned();
        for _ in 0..MOST_ANCESTORS {
            let dir = self.proc().join(&process);
            if let Some(address) = fs::read(dir.join("environ"))
                .ok()
                .and_then(|e| connection(&e))
            {
                return Some(address);
            }
            let status = fs::read_to_string(dir.join("status")).ok()?;
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
            process = parent.trim().to_owned();
        }
        None
    }
}

/// The third word of `SSH_CONNECTION`: client, its port, server, its port (sshd's environment, ssh(1)).
fn connection(environment: &[u8]) -> Option<IpAddr> {
    let mut variables = environment.split(|byte| *byte == 0);
    let words = variables.find_map(|variable| variable.strip_prefix(b"SSH_CONNECTION="))?;
    let server = std::str::from_utf8(words).ok()?.split(' ').nth(2)?;
    let (server, _zone) = server.split_once('%').unwrap_or((server, ""));
    server.parse().ok()
}
