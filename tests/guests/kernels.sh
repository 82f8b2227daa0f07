# SPDX-License-Identifier: MIT
# Guests of several kernels, from their creation to their end.

# On each vCPU, the sum of a file: how many different ones there are.
SUMS='for c in $(seq 0 $(($(nproc) - 1))); do taskset $(printf %x $((1 << c))) sha256sum /bin/busybox; done | sort -u | wc -l'

# comes GUEST RELEASE VCPUS MEMORY: it comes to its shell, with all that it was given, and works on all its vCPUs.
comes() {
    need "xl create" xl create -q /root/"$1".cfg
    up "$1"
    need "its own report" has "^guest: $3 vCPUs" $LOGS/guest-"$1".log
    need "its kernel" is "$(inside "$1" 'uname -r')" "$2"
    need "its vCPUs" is "$(inside "$1" 'grep -c ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/online')" "$3
$(seq -s - 0 $(($3 - 1)) | sed 's/-.*-/-/')"
    need "the same sums on each" is "$(inside "$1" "$SUMS")" 1
    need "its memory" between $(($4 * 970 - 90000)) "$(inside "$1" "awk '/MemTotal/ { print \$2 }' /proc/meminfo")" $(($4 * 1024))
    inside "$1" dmesg >/tmp/messages
    need "no complaint of its kernel" gone grep -A 20 "BUG:\|WARNING:\|Oops\|unchecked MSR" /tmp/messages
}

# ends GUEST: by itself.
ends() {
    inside "$1" '(poweroff -f &)'
    await "it has gone" gone xl list "$1"
    await "memory as before" free_is "$(cat /tmp/free)"
}

# kernel FILE INITRD RELEASE VCPUS MEMORY: a guest with a name of its own, so that the log of its console is its own.
kernel() {
    local name
    name=$(basename "$1")-$4-$5
    free_memory >/tmp/free
    guest "$name" "kernel='$1'" "ramdisk='$2'" "vcpus=$4" "memory=$5"
    comes "$name" "$3" "$4" "$5"
    ends "$name"
}

# from_disk IMAGE RELEASE: GRUB in the guest reads its menu, kernel and initrd from the guest's disk.
from_disk() {
    free_memory >/tmp/free
    printf '%s\n' "name='p'" "kernel='/usr/lib/grub-xen/grub-x86_64-xen.bin'" "memory=192" "vcpus=2" "disk=['$1,raw,xvda,w']" >/root/p.cfg
    comes p "$2" 2 192
    need "by the menu on its disk" is "$(inside p 'cat /proc/cmdline')" "console=hvc0 quiet caisson.commands own-disk"
    inside p 'echo written >/tmp/new; dd if=/tmp/new of=/dev/xvda bs=512 count=1 conv=sync,fsync'
    need "it writes to its disk" is "$(head -c 7 "$1")" written
    ends p
}

# What unpacks in the toolstack: other formats and too little memory are refused, by its own sentences.
packed() { # MAGIC SENTENCE
    local offset=$(($(od -An -tu4 -j584 -N4 /root/vmlinuz) + ($(od -An -tu1 -j497 -N1 /root/vmlinuz) + 1) * 512))
    cp /root/vmlinuz /root/other
    printf "$1" | dd of=/root/other bs=1 seek=$offset conv=notrunc
    refused "$2" "kernel='/root/other'" "ramdisk='/root/initrd-7.2.img'"
}

formats() {
    free_memory >/tmp/free
    packed BZh "BZIP2 decompress support unavailable"
    packed '\211LZO\0\r\n\032\n' "LZO1x decompress support unavailable"
    packed nonsense "no loader found: Invalid kernel"
    rm /root/other
}

# GRUB alone, and no kernel of Debian's, fits into 64 MiB.
smallest() {
    free_memory >/tmp/free
    refused "segment kernel too large" "kernel='/root/vmlinuz'" "ramdisk='/root/initrd-7.2.img'" "memory=64"
    printf '%s\n' "name='s'" "kernel='/usr/lib/grub-xen/grub-x86_64-xen.bin'" "memory=64" "disk=['/root/menu.img,raw,xvda,w']" >/root/s.cfg
    need "xl create" xl create -q /root/s.cfg
    await "it has gone" gone xl list s
    need "the menu on its disk" has "guest: GRUB has read its menu" $LOGS/guest-s.log
    await "memory as before" free_is "$(cat /tmp/free)"
}
