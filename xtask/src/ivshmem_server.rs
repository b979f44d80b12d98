//! An ivshmem server, because Debian ships none: it gives the ivshmem-doorbell device its memory and its interrupts.
//!
//! The protocol (QEMU's docs/specs/ivshmem-spec.txt) is a stream of little-endian 64-bit numbers, some with a file
//! descriptor: the version 0, the peer's id, -1 with the shared memory, and then for each vector of each peer the
//! peer's id with an eventfd. Our one peer is the lab's QEMU, which thus rings its own doorbell.

use std::ffi::CStr;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::channels;
use crate::error::{Context, Result};

/// The number of interrupt vectors.
pub const VECTORS: usize = 4;

/// The name of the socket.
pub const SOCKET: &str = "ivshmem";

/// The size of the shared memory.
const MEMORY: i64 = 4 << 20;
const MEMORY_NAME: &CStr = c"ivshmem-doorbell";

const VERSION: i64 = 0;
const PEER: i64 = 0;
const MEMORY_FOLLOWS: i64 = -1;

/// What a peer holds; the device works as long as these are open here.
struct Peer {
    stream: UnixStream,
    memory: OwnedFd,
    vectors: Vec<EventFd>,
}

/// Listens in `folder` and serves the first peer that connects, in a thread that ends with this process.
pub fn start(folder: &Path) -> Result<()> {
    let path = folder.join(SOCKET);
    let listener = UnixListener::bind(&path).context(|| channels::cannot_listen(&path))?;
    thread::spawn(move || {
        if let Err(error) = serve(&listener) {
            eprintln!("xtask: the ivshmem server failed, QEMU will wait in vain: {error}");
        }
    });
    Ok(())
}

fn serve(listener: &UnixListener) -> Result<()> {
    let (stream, _) = listener.accept()?;
    let memory = memfd_create(MEMORY_NAME, MFdFlags::MFD_CLOEXEC)?;
    nix::unistd::ftruncate(&memory, MEMORY)?;
    let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
    let vectors = (0..VECTORS)
        .map(|_| EventFd::from_value_and_flags(0, flags))
        .collect::<std::result::Result<_, _>>()?;
    let peer = Peer {
        stream,
        memory,
        vectors,
    };
    peer.introduce()?;
    // It sends nothing; this lasts until QEMU ends, in whatever way.
    let _ = std::io::copy(&mut &peer.stream, &mut std::io::sink());
    Ok(())
}

impl Peer {
    fn introduce(&self) -> Result<()> {
        self.send(VERSION, None)?;
        self.send(PEER, None)?;
        self.send(MEMORY_FOLLOWS, Some(self.memory.as_raw_fd()))?;
        for vector in &self.vectors {
            self.send(PEER, Some(vector.as_raw_fd()))?;
        }
        Ok(())
    }

    fn send(&self, number: i64, descriptor: Option<RawFd>) -> Result<()> {
        let rights = descriptor.as_slice();
        let control = if rights.is_empty() {
            Vec::new()
        } else {
            vec![ControlMessage::ScmRights(rights)]
        };
        let bytes = number.to_le_bytes();
        sendmsg::<()>(
            self.stream.as_raw_fd(),
            &[IoSlice::new(&bytes)],
            &control,
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        Ok(())
    }
}
