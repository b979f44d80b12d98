#!/bin/sh
# Writes down what the kernel shows of this machine's PCI devices, and what lspci, ip and lsblk say of them, as root:
#
#     sh capture.sh FOLDER
#
# `files` is a line for each file: its path, `=` and its text, `:` and its bytes, or `->` and where the link leads.
# No serial number of a drive and no name of the machine is in it. A Device Serial Number (PCI Express) is: it is in `config`.
set -eu
to=$1
mkdir -p "$to"

text() {
    for file; do
        [ -f "$file" ] && [ -r "$file" ] || continue
        value=
        while IFS= read -r line; do
            value="$value$line|"
        done <"$file" 2>/dev/null || true
        echo "${file#/} = $value"
    done
}

bytes() {
    echo "${1#/} : $(od -An -v -tx1 "$1" | tr -d ' \n' | sed -E 's/(00)+$//') $(wc -c <"$1")"
}

link() {
    for link; do
        if [ -L "$link" ]; then
            echo "${link#/} -> $(readlink "$link")"
        fi
    done
}

{
    for function in /sys/bus/pci/devices/*; do
        link "$function"
        dir=$(readlink -f "$function")
        bytes "$dir/config"
        for name in vendor device subsystem_vendor subsystem_device class revision uevent resource driver_override enable \
            numa_node power_state reset_method boot_vga secondary_bus_number subordinate_bus_number sriov_numvfs \
            sriov_totalvfs sriov_drivers_autoprobe current_link_speed current_link_width d3cold_allowed; do
            text "$dir/$name"
        done
        link "$dir/driver" "$dir/iommu_group" "$dir/subsystem" "$dir/physfn" "$dir"/virtfn*
    done
    for name in net block nvme nvme-subsystem uio graphics drm iommu; do
        for device in /sys/class/"$name"/*; do
            [ -L "$device" ] || continue
            link "$device"
            dir=$(readlink -f "$device")
            for file in dev uevent ifindex partition enabled bonding/slaves loop/backing_file dm/name dm/uuid; do
                text "$dir/$file"
            done
            link "$dir"/upper_* "$dir/master" "$dir"/holders/* "$dir"/nvme*
        done
    done
    for member in /sys/kernel/iommu_groups/*/devices/*; do
        link "$member"
    done
    for file in swaps net/route net/if_inet6 net/ipv6_route net/packet; do
        text "/proc/$file"
    done
    echo "proc/self/mountinfo = $(grep -E ' - [a-z0-9]+ /dev/' /proc/self/mountinfo | tr '\n' '|')"
} >"$to/files"

lspci -Dnvmmk >"$to/lspci"
lspci -PPDn >"$to/lspci-paths"
lspci -Dnvv | grep -E '^[0-9a-f]|Region|Expansion' >"$to/lspci-regions"
ip -4 route >"$to/ip-route"
lsblk -rno NAME,MOUNTPOINTS >"$to/lsblk"
