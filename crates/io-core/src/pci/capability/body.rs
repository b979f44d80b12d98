//! Which decoder a capability has.

use super::{
    Acs, AdvancedFeatures, Aer, Ari, Ats, BodyError, Capability, CapabilityId, Doe, Dpc, Dvsec,
    EnhancedAllocation, Ltr, Msi, MsiX, Pasid, PciExpress, PowerManagement, Pri, ResizableBars,
    SerialNumber, SrIov, VendorSpecific, Vpd, Vsec, fields::Fields,
};

/// What a capability says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body<'a> {
    /// Power management.
    PowerManagement(PowerManagement),
    /// Vital product data.
    Vpd(Vpd),
    /// Message signalled interrupts.
    Msi(Msi),
    /// What a vendor makes of it.
    VendorSpecific(VendorSpecific<'a>),
    /// PCI Express.
    PciExpress(Box<PciExpress>),
    /// Message signalled interrupts with a table.
    MsiX(MsiX),
    /// What PCI Express has, for a conventional function.
    AdvancedFeatures(AdvancedFeatures),
    /// BARs with fixed addresses.
    EnhancedAllocation(EnhancedAllocation),
    /// Advanced error reporting.
    Aer(Box<Aer>),
    /// A serial number.
    SerialNumber(SerialNumber),
    /// What a vendor makes of it.
    Vsec(Vsec<'a>),
    /// Access control services.
    Acs(Acs<'a>),
    /// Alternative routing-id interpretation.
    Ari(Ari),
    /// Address translation services.
    Ats(Ats),
    /// Single-root I/O virtualization.
    SrIov(Box<SrIov>),
    /// The page request interface.
    Pri(Pri),
    /// BARs whose size can be chosen, of the function or of its virtual functions.
    ResizableBars(ResizableBars),
    /// Latency tolerance reporting.
    Ltr(Ltr),
    /// Process address space ids.
    Pasid(Pasid),
    /// Downstream port containment.
    Dpc(Dpc),
    /// What a vendor makes of it, in any vendor's function.
    Dvsec(Dvsec<'a>),
    /// Data object exchange.
    Doe(Doe),
    /// Anything else: all its bytes, with its header.
    Other(&'a [u8]),
}

pub(super) fn decode<'a>(capability: &Capability<'a>) -> Result<Body<'a>, BodyError> {
    let fields = Fields {
        offset: capability.offset,
        bytes: capability.bytes,
    };
    let context = capability.context;
    Ok(match capability.id {
        CapabilityId::POWER_MANAGEMENT => Body::PowerManagement(PowerManagement::decode(fields)?),
        CapabilityId::VPD => Body::Vpd(Vpd::decode(fields)?),
        CapabilityId::MSI => Body::Msi(Msi::decode(fields)?),
        CapabilityId::VENDOR_SPECIFIC => Body::VendorSpecific(VendorSpecific::decode(fields)?),
        CapabilityId::PCI_EXPRESS => Body::PciExpress(Box::new(PciExpress::decode(fields)?)),
        CapabilityId::MSI_X => Body::MsiX(MsiX::decode(fields)?),
        CapabilityId::ADVANCED_FEATURES => {
            Body::AdvancedFeatures(AdvancedFeatures::decode(fields)?)
        }
        CapabilityId::ENHANCED_ALLOCATION => {
            Body::EnhancedAllocation(EnhancedAllocation::decode(fields, context.bridge)?)
        }
        CapabilityId::AER => Body::Aer(Box::new(Aer::decode(fields, context.port)?)),
        CapabilityId::SERIAL_NUMBER => Body::SerialNumber(SerialNumber::decode(fields)?),
        CapabilityId::VSEC => Body::Vsec(Vsec::decode(fields)?),
        CapabilityId::ACS => Body::Acs(Acs::decode(fields)?),
        CapabilityId::ARI => Body::Ari(Ari::decode(fields)?),
        CapabilityId::ATS => Body::Ats(Ats::decode(fields)?),
        CapabilityId::SR_IOV => Body::SrIov(Box::new(SrIov::decode(fields)?)),
        CapabilityId::PRI => Body::Pri(Pri::decode(fields)?),
        CapabilityId::RESIZABLE_BAR | CapabilityId::VF_RESIZABLE_BAR => {
            Body::ResizableBars(ResizableBars::decode(fields)?)
        }
        CapabilityId::LTR => Body::Ltr(Ltr::decode(fields)?),
        CapabilityId::PASID => Body::Pasid(Pasid::decode(fields)?),
        CapabilityId::DPC => Body::Dpc(Dpc::decode(fields)?),
        CapabilityId::DVSEC => Body::Dvsec(Dvsec::decode(fields)?),
        CapabilityId::DOE => Body::Doe(Doe::decode(fields)?),
        _ => Body::Other(fields.bytes),
    })
}
