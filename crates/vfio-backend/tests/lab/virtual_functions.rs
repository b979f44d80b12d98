//! Virtual functions whose physical function is with VFIO too.

mod qemu10;
