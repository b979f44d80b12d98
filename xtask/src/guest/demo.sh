device=$1
image=$2
before=$(outboard list)

step() {
    echo
    echo "# $1"
    shift
    echo "\$ $*"
    "$@"
}

step "The PCI devices of this machine, and the driver that each one has." outboard list
step "Take $device from the kernel: with vfio-pci a program may drive it, kept in bounds by the IOMMU." \
    outboard bind "$device"
step "Copy a real firmware image, OpenSBI's, into the device's memory (BAR 2), and read it back." \
    outboard fw load "$device" "$image" --bar 2
step "Give the device back." outboard release "$device"

echo
if [ "$(outboard list)" = "$before" ]; then
    echo "# Now \`outboard list\` says the same as at the start."
else
    echo "# Now \`outboard list\` does not say the same as at the start, but:"
    outboard list
    exit 1
fi
