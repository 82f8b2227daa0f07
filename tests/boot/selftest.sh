#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in dom0: what a person would do at the shell, and a load. Exit status 0: all of it worked.
set -e
fail() { echo "selftest: $1"; exit 1; }

[ "$(cat /sys/hypervisor/type)" = xen ] || fail "no hypervisor in /sys"
dd if=/dev/zero of=/tmp/zero bs=64k count=256 2>/dev/null
[ "$(md5sum < /tmp/zero)" = "2c7ab85a893283e98c931e9511add182  -" ] || fail "dd and md5sum disagree"
rm /tmp/zero
top -b -n 1 | grep -q 'Load average' || fail "top"

# Time goes forward, and sleep sleeps.
a=$(date +%s); sleep 2; b=$(date +%s)
[ $((b - a)) -ge 2 ] && [ $((b - a)) -le 6 ] || fail "sleep 2 took $((b - a)) s"

i=0
while [ $i -lt ${FORKS:-500} ]; do
    /bin/true
    i=$((i + 1))
done
echo "selftest: ${FORKS:-500} forks done"

n=0
while [ $n -lt 200 ]; do
    (j=0; while [ $j -lt 20 ]; do echo "$j" | sed s/0/1/ > /dev/null; j=$((j + 1)); done) &
    n=$((n + 1))
done
wait
echo "selftest: 200 processes done"
dmesg | grep -E 'BUG|WARNING|Oops|soft lockup|unchecked MSR' && fail "the kernel complains"
exit 0
