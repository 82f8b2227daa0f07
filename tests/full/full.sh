# SPDX-License-Identifier: MIT
# What a machine does that one would leave running; bash, as root in dom0 (a whole Debian).
# The test puts in: URL of a package source, PORT of an iperf3 server, SECONDS_OF_STRESS.
fail() { echo "full: FAILED: $*"; dmesg | tail -40; sync; systemctl poweroff; exit 1; }
part() { echo "full: $*"; }
cd /root

part "network"
for i in $(seq 60); do ping -c1 -W2 10.0.2.2 >/dev/null 2>&1 && break; sleep 1; done
ping -c3 10.0.2.2 >/dev/null || fail "no answer from the gateway"

part "apt install"
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo "deb [trusted=yes] @URL@ ./" > /etc/apt/sources.list
apt-get -qq update && apt-get -qqy install hello </dev/null >/dev/null 2>&1 || fail "a package cannot be installed"
[ "$(hello -g well)" = well ] || fail "the installed program does not run"

part "gcc"
mkdir -p build && cd build
for i in $(seq 40); do
    echo "int f$i(int x) { for (int i = 0; i < 1000; i++) x = x * $i + i; return x; }" > f$i.c
done
(echo "#include <stdio.h>"; for i in $(seq 40); do echo "int f$i(int);"; done; echo "int main(void) { int x = 1;"
 for i in $(seq 40); do echo "x = f$i(x);"; done; echo 'printf("%d\n", x); return 0; }') > main.c
echo 'program: $(patsubst %.c,%.o,$(wildcard *.c)); $(CC) -o $@ $^' > Makefile
make -s -j4 CFLAGS=-O2 program || fail "a program does not compile"
optimised=$(./program); make -s -B -j4 CFLAGS=-O0 program
[ "$optimised" = "$(./program)" ] || fail "a compiled program computes something else"
cd ..

cat > many.c <<'C'
/* N processes at once, each counted in and out through a pipe. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int n = atoi(argv[1]), in[2], hold[2];
    char c = 0;
    if (pipe(in) || pipe(hold)) return 1;
    for (int i = 0; i < n; i++) {
        pid_t p = fork();
        if (p < 0) { perror("fork"); return 1; }
        if (!p) { close(hold[1]); if (write(in[1], &c, 1) != 1) _exit(1); _exit(read(hold[0], &c, 1) != 0); }
    }
    for (int i = 0; i < n; i++)
        if (read(in[0], &c, 1) != 1) return 1;
    printf("%d at once\n", n);
    close(hold[1]);
    for (int i = 0; i < n; i++) {
        int s;
        if (wait(&s) < 0 || s) return 1;
    }
    return 0;
}
C
gcc -O2 -static -o many many.c || fail "many.c does not compile"
echo 40000 > /proc/sys/kernel/pid_max
./many 200 >/dev/null || fail "200 processes"
sync; echo 3 > /proc/sys/vm/drop_caches; sleep 2
part "audit before"; sleep 5

part "10,000 processes"
./many 10000 || fail "10,000 processes"

part "suspend of a process tree"
setsid bash -c 'for i in 1 2 3; do (i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo $i) & done; wait' > tree.txt &
tree=$!
sleep 1; kill -STOP -- -$tree; sleep 3
before=$(cat /proc/$tree/stat | cut -d' ' -f14-17); sleep 3
[ "$before" = "$(cat /proc/$tree/stat | cut -d' ' -f14-17)" ] || fail "a stopped tree runs"
kill -CONT -- -$tree; wait $tree
[ "$(sort -u tree.txt)" = 20000 ] && [ "$(wc -l < tree.txt)" = 3 ] || fail "a resumed tree does not end in order"

part "fio"
fio --name=verify --filename=/dev/disk/by-id/virtio-scratch --rw=randrw --bs=4k-64k --size=128m --io_size=96m --direct=1 --ioengine=libaio \
    --iodepth=8 --verify=crc32c --verify_fatal=1 --do_verify=1 --output=fio.txt || { cat fio.txt; fail "fio"; }
grep -E "READ:|WRITE:" fio.txt

part "iperf3"
iperf3 -c 10.0.2.2 -p @PORT@ -t 10 > iperf.txt 2>&1 && iperf3 -R -c 10.0.2.2 -p @PORT@ -t 10 >> iperf.txt 2>&1 || { cat iperf.txt; fail "iperf3"; }
grep receiver iperf.txt

part "rtc"
rtc=$(date -d "$(cat /sys/class/rtc/rtc0/date) $(cat /sys/class/rtc/rtc0/time) UTC" +%s) || fail "no real-time clock"
[ $((rtc - $(date +%s))) -le 3 ] && [ $(($(date +%s) - rtc)) -le 3 ] || fail "the real-time clock and dom0's differ: $rtc, $(date +%s)"

part "stress-ng"
stress-ng --cpu 2 --vm 1 --vm-bytes 128M --fork 1 --mmap 1 --mmap-bytes 32M --switch 1 --timer 1 --sigq 1 --sigfd 1 --verify \
    --timeout @SECONDS@ --metrics-brief 2>&1 | tee stress.txt
[ "${PIPESTATUS[0]}" = 0 ] || fail "stress-ng"

sync; echo 3 > /proc/sys/vm/drop_caches; sleep 5
part "audit after"; sleep 5
dmesg | grep -E "BUG:|WARNING:|Oops|soft lockup|rcu: INFO|blocked for more|I/O error|Call Trace" && fail "the kernel complains"
part "over"
sleep 120
fail "the power button did nothing"
