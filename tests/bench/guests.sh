# SPDX-License-Identifier: MIT
# What guests cost, in dom0 (tools/bench --guests). Figures are lines "bench: ...", and marks of probe's by their numbers (tools/bench knows
# what each is for). After tests/guests/common.sh.
set -E
trap 'echo "bench: line $LINENO FAILED: $BASH_COMMAND"' ERR
chmod +x /root/probe
probe() { /root/probe "$@"; }
idle() { printf '%s\n' "name='$1'" "kernel='/root/idle.elf'" "memory=64" >/root/"$1".cfg; }

# Names of the hypervisor's functions, if it tells them.
gzip -c </proc/xen/xensyms | base64 | sed "s/^/bench: symbols /" # nothing, where there is no such file

# What the first guest takes for good, and Xen's clearing of all memory, are over.
idle small
xl create -p -q /root/small.cfg
xl destroy small
sleep 20

for ((i = 0; i < 3; i++)); do
    probe memory
    xl create -q /root/small.cfg
    sleep 1
    probe memory
    xl destroy small
    sleep 1
done

guest big "memory=256"
for ((i = 0; i < 3; i++)); do
    probe run 0 xl create -p -q /root/big.cfg
    probe run 4 xl destroy big
done

truncate -s 64M /root/disk.img
guest g "memory=128" "vif=['bridge=xenbr0']" "disk=['/root/disk.img,raw,xvda,w']" "tsc_mode='native'"
xl create -q /root/g.cfg
up g
inside g 'probe read 16 /dev/xvda 4096 2000 0'
inside g 'probe read 20 /dev/xvda 1048576 48 1048576'
probe send 100 0.0.0.0 5001 16777216 &
inside g 'probe receive 24 10.99.0.1 5001 16777216'
probe receive 100 0.0.0.0 5002 16777216 &
inside g 'probe send 28 10.99.0.1 5002 16777216'
inside g program | sed 's/^bench: /bench: program: /'
xl destroy g

for ((n = 0; n < 64; n++)); do
    idle "small$n"
    probe run 8 xl create -q /root/small$n.cfg 2>/tmp/refused || break
done
trap - ERR
tail -n 3 /tmp/refused
echo "bench: $n guests"
for ((i = 0; i < n; i++)); do xl destroy small$i; done
sleep 1
probe memory
echo "bench: over"
