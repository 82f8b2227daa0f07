# SPDX-License-Identifier: MIT
# Commands of xl, by what they do to one guest, which lives from the fourth step on; then what must fail, and guests that crash.

daemons() {
    need "Debian's scripts choose by the version" is "$(/usr/lib/xen-common/bin/xen-dir)" /usr/lib/xen-4.17
    need "dom0's name" is "$(xenstore-read /local/domain/0/name)" Domain-0
    need "oxenstored runs" pidof oxenstored
    need "xenconsoled runs" pidof xenconsoled
    xenstore-write /local/domain/0/device/test value
    need "the store keeps" is "$(xenstore-read /local/domain/0/device/test)" value
    xenstore-rm /local/domain/0/device/test
}
step "the daemons are up" daemons

log() {
    xl dmesg >/tmp/dmesg
    need "the boot log" has "Command line" /tmp/dmesg
    xl debug-keys h
    await "the keys' list" eval "xl dmesg | grep -q \"'h' pressed\""
    xl dmesg -c >/tmp/dmesg
    need "it is read once more" [ -s /tmp/dmesg ]
    need "it is cleared" [ "$(xl dmesg | wc -c)" -lt 200 ]
}
step "xl dmesg, dmesg -c, debug-keys" log
