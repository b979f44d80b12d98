#!/bin/sh
# The guest's init: loads the modules, puts the root file system together under /r, runs the command there, and tells
# the host how it ended. The host then ends QEMU.

PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
ip link set lo up

# Sets rootfs, interactive, unsafe_interrupts, udev and restarted.
. /lab/config

for module in /lab/modules/*.ko; do
    [ -e "$module" ] && insmod "$module"
done

if [ "$unsafe_interrupts" = yes ]; then
    for module in vfio_iommu_type1 iommufd; do
        file=/sys/module/$module/parameters/allow_unsafe_interrupts
        [ -e "$file" ] && echo Y >"$file"
    done
fi

fail() {
    echo "lab: $*"
    poweroff -f
}

# The device node of the virtio-serial port called $1. It appears some time after its driver is loaded.
port() {
    for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        for node in /sys/class/virtio-ports/*; do
            if [ "$(cat "$node/name" 2>/dev/null)" = "$1" ]; then
                echo "/dev/${node##*/}"
                return
            fi
        done
        sleep 0.1
    done
}

status=$(port outboard.status)
[ -n "$status" ] || fail "this kernel has no virtio console: CONFIG_VIRTIO_PCI and CONFIG_VIRTIO_CONSOLE are needed"
exec 3>"$status"

# Below /r, where the command will be, are the same files.
if [ "$udev" = yes ]; then
    mkdir -p /run /var
    ln -s /run /var/run
    PATH=/usr/bin:/bin
    systemd-sysusers || fail "systemd-sysusers failed"
    if [ "$restarted" = yes ]; then
        release=/lib/modules/$(uname -r)
        mkdir -p "$release"
        mv /lab/drivers "$release/kernel"
        # By its path: busybox has one that writes no index for libkmod.
        /usr/sbin/depmod || fail "depmod failed"
    fi
    systemd-tmpfiles --create outboard.conf || fail "systemd-tmpfiles failed"
    /lib/systemd/systemd-udevd --daemon || fail "systemd-udevd does not run"
    udevadm trigger --action=add --type=subsystems
    udevadm trigger --action=add --type=devices
    udevadm settle || fail "udev is not done"
fi

p9=trans=virtio,version=9p2000.L,msize=512000
mkdir -p /r
if [ "$rootfs" = host ]; then
    mkdir -p /lab/lower /lab/overlay
    mount -t 9p -o "$p9,ro,cache=loose" lab-root /lab/lower || fail "cannot mount the host's root"
    mount -t tmpfs overlay /lab/overlay
    mkdir /lab/overlay/upper /lab/overlay/work
    mount -t overlay -o lowerdir=/lab/lower,upperdir=/lab/overlay/upper,workdir=/lab/overlay/work overlay /r ||
        fail "cannot put an overlay on the host's root"
    mkdir -p /r/lab/bin
    cp /lab/bin/outboard /r/lab/bin/
else
    mount -o bind / /r
fi
for each in proc sys dev; do
    mount -o rbind "/$each" "/r/$each"
done
while read -r tag mode path; do
    mkdir -p "/r$path"
    mount -t 9p -o "$p9,$mode" "$tag" "/r$path" || fail "cannot mount $path"
done </lab/mounts

echo up >&3
while sleep 5; do
    echo alive >&3
done &
if [ "$interactive" = yes ]; then
    setsid -c chroot /r /bin/sh -c "$(cat /lab/command)" </dev/ttyS0 >/dev/ttyS0 2>&1 3>&-
    echo "$? 0 0" >&3
else
    # Pipes, as in any other pipeline. The host is told how many bytes went through, so that it can wait for the last.
    mkfifo -m 666 /lab/stdout /lab/stderr
    tee "$(port outboard.stdout)" </lab/stdout | wc -c >/lab/stdout.bytes &
    stdout=$!
    tee "$(port outboard.stderr)" </lab/stderr | wc -c >/lab/stderr.bytes &
    stderr=$!
    chroot /r /bin/sh -c "$(cat /lab/command)" </dev/null >/lab/stdout 2>/lab/stderr 3>&-
    code=$?
    wait $stdout $stderr
    sync
    echo "$code $(cat /lab/stdout.bytes) $(cat /lab/stderr.bytes)" >&3
fi

# The last process may not end.
while :; do
    sleep 1000
done
