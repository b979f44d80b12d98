//! Capabilities: what a function can do beyond its header.
//!
//! [`Config::capabilities`](super::Config::capabilities) and
//! [`Config::extended_capabilities`](super::Config::extended_capabilities) walk the lists;
//! [`Capability::body`] decodes what is found. Each kind that is decoded has a type here.

mod access_control;
mod advanced_features;
mod aer;
mod alternative_routing;
mod body;
mod data_object;
mod dpc;
mod enhanced_allocation;
mod fields;
mod list;
mod ltr;
mod msi;
mod msi_x;
mod names;
mod paging;
pub mod pcie;
mod power;
mod resizable_bar;
mod serial_number;
mod sr_iov;
mod vendor;
mod vpd;

pub use access_control::{Acs, AcsControls};
pub use advanced_features::AdvancedFeatures;
pub use aer::{Aer, AerControl, AerRoot, CorrectableErrors, RootErrors, UncorrectableErrors};
pub use alternative_routing::{Ari, AriFlags};
pub use body::Body;
pub use data_object::{Doe, DoeCapability, DoeControl, DoeStatus};
pub use dpc::{Dpc, DpcCapability, DpcControl, DpcRootPort, DpcStatus};
pub use enhanced_allocation::{EaEntry, EaProperties, EnhancedAllocation};
pub use fields::BodyError;
pub use list::{CapabilityList, ListError, ListErrorKind};
pub use ltr::{Latency, Ltr};
pub use msi::{Msi, MsiControl};
pub use msi_x::{BarOffset, MsiX, MsiXControl};
pub use paging::{Ats, Pasid, PasidFlags, Pri, PriControl, PriStatus};
pub use pcie::{PciExpress, PortType};
pub use power::{PowerCapabilities, PowerControl, PowerManagement};
pub use resizable_bar::{ResizableBar, ResizableBars};
pub use serial_number::SerialNumber;
pub use sr_iov::{SrIov, SrIovCapabilities, SrIovControl};
pub use vendor::{Dvsec, VendorSpecific, Vsec};
pub use vpd::Vpd;

pub(super) use list::{extended_list, list};

/// A capability, or an extended one: a piece of configuration space that says what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability<'a> {
    /// What it is.
    pub id: CapabilityId,
    /// The version of an extended capability's layout.
    pub version: Option<u8>,
    /// Where it starts, in bytes from the start of configuration space.
    pub offset: u16,
    /// Its bytes, with its header, up to the capability that comes after it in configuration space, or
    /// else up to the end. That may be more than it has.
    pub bytes: &'a [u8],
    /// What of the rest of the function its layout depends on.
    context: Context,
}

/// What of the rest of a function the layout of its capabilities depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Context {
    /// Whether the header is that of a bridge (type 1).
    bridge: bool,
    /// The type of the PCI Express port, if the function is one.
    port: Option<PortType>,
}

/// The id of a capability. The numbers of the two kinds have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapabilityId {
    /// One of those below 256.
    Standard(u8),
    /// One of those from 256 on.
    Extended(u16),
}

impl<'a> Capability<'a> {
    /// Its name, if its id is known: that of the specification, mostly as lspci writes it.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.id.name()
    }

    /// What it says; its bytes, if nothing here can decode it.
    ///
    /// # Errors
    ///
    /// It has fewer bytes than its layout needs, or it contradicts itself.
    pub fn body(&self) -> Result<Body<'a>, BodyError> {
        body::decode(self)
    }
}
