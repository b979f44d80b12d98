//! Loading firmware into a device, and knowing that it arrived.
//!
//! An [`Upload`] is a plan first: the image, where in the memory it goes, and which accesses the memory
//! takes. Making one checks all of that against the memory, so that an image that does not fit is
//! refused with nothing written. Then it is [written](Upload::write) and
//! [read back](Upload::read_back).
//!
//! The memory is a [`SysOrIoMap`](io_core::SysOrIoMap): a BAR of the device, or a buffer that the
//! device fetches.
//!
//! ```
//! use firmware::Upload;
//! use io_core::{AccessWidth, Region, SysMem, SysOrIoMap};
//!
//! let mut buffer = [0u64; 512];
//! let region = Region::try_from_raw_parts(buffer.as_mut_ptr().cast(), 4096)?;
//! // SAFETY: `buffer` is live, and nothing else uses it, for as long as `target` is used.
//! let target = SysOrIoMap::from(unsafe { SysMem::from_raw(region) });
//!
//! let upload = Upload::new(target, 0x100, b"firmware", AccessWidth::Auto)?;
//! upload.write(|done| println!("{done} bytes written"))?;
//! let back = upload.read_back(|done| println!("{done} bytes read back"))?;
//! assert_eq!(back.difference, None);
//!
//! assert!(Upload::new(target, 0x100, &[0; 4096], AccessWidth::Auto).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod upload;

pub use upload::{ReadBack, Sha256, Upload, UploadError};
