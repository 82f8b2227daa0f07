/* SPDX-License-Identifier: MIT */
/*
 * What is measured in guests and in dom0 beside them (tools/bench --guests). Linked statically; the same on every hypervisor. N: the
 * number of the mark before; the one afterwards is N + 1.
 *
 *     probe run N COMMAND...               the command; after one more second N + 2
 *     probe memory                         "bench: FREE DIRTY GUESTS": frames that are free, of them not cleared, and those of all guests
 *     probe read N FILE SIZE TIMES STEP    past the cache, at offsets STEP apart, or at random ones if it is 0
 *     probe send|receive N ADDRESS PORT BYTES    one end of a connection; the one whose address is 0.0.0.0 waits for the other
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define XEN_GUEST_HANDLE(type) type *
#define XEN_GUEST_HANDLE_64(type) uint64_t
#include <public/sysctl.h>

struct privcmd_hypercall { /* Linux: include/uapi/xen/privcmd.h */
    uint64_t op, arg[5];
};
#define IOCTL_PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))

#define SIZE (1 << 20) /* of the buffer, which is there from the start and stays */
#define BLOCK 65536
static char *buffer;

static void need(bool good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

/* Instructions that do nothing, nopl with the number in their displacement, by which the plugin that counts (counter.c) knows them. */
__asm__(".pushsection .text\n.balign 8\nmarks:\n.set n, 0\n.rept 256\n.byte 0x0f, 0x1f, 0x80, 0x43, 0x41, 0x49, n\n ret\n"
        ".set n, n + 1\n.endr\n.popsection");
extern const char marks[];

static void mark(unsigned n) { ((void (*)(void))(marks + 8 * n))(); }

static int run(unsigned n, char **command)
{
    int status;

    mark(n);
    if (!vfork()) {
        execvp(command[0], command);
        _exit(127);
    }
    wait(&status);
    mark(n + 1);
    sleep(1);
    mark(n + 2);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void sysctl(int fd, struct xen_sysctl *op, uint32_t cmd)
{
    struct privcmd_hypercall call = { __HYPERVISOR_sysctl, { (uintptr_t)op } };

    op->cmd = cmd;
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    need(ioctl(fd, IOCTL_PRIVCMD_HYPERCALL, &call) >= 0, "sysctl");
}

static void memory(void)
{
    int fd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
    struct xen_sysctl *op = (void *)buffer;
    struct xen_domctl_getdomaininfo *info = (void *)(buffer + SIZE / 2);
    uint64_t guests = 0;

    need(fd >= 0, "/dev/xen/privcmd");
    op->u.getdomaininfolist = (struct xen_sysctl_getdomaininfolist){ 1, 1000, (uintptr_t)info, 0 };
    sysctl(fd, op, XEN_SYSCTL_getdomaininfolist);
    for (uint32_t i = 0; i < op->u.getdomaininfolist.num_domains; i++)
        guests += info[i].tot_pages;
    sysctl(fd, op, XEN_SYSCTL_physinfo);
    printf("bench: %llu %llu %llu\n", (unsigned long long)op->u.physinfo.free_pages, (unsigned long long)op->u.physinfo.scrub_pages,
           (unsigned long long)guests);
}

static void read_file(unsigned n, const char *path, size_t size, unsigned times, size_t step)
{
    int fd = open(path, O_RDONLY | O_DIRECT);
    off_t end = lseek(fd, 0, SEEK_END);

    need(fd >= 0 && end >= (off_t)size && size <= SIZE, path);
    for (unsigned i = 0; i < times + 1; i++) {
        off_t at = step ? i * step : (size_t)random() % (end / size) * size;

        if (i == 1) /* the first warms up */
            mark(n);
        need(pread(fd, buffer, size, at % end) == (ssize_t)size, "read");
    }
    mark(n + 1);
}

static int connection(const char *address, unsigned port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = inet_addr(address) };
    int s = socket(AF_INET, SOCK_STREAM, 0);

    if (a.sin_addr.s_addr != INADDR_ANY) {
        need(connect(s, (void *)&a, sizeof(a)) == 0, "connect");
        return s;
    }
    need(bind(s, (void *)&a, sizeof(a)) == 0 && listen(s, 1) == 0, "listen");
    s = accept(s, NULL, NULL);
    need(s >= 0, "accept");
    return s;
}

static void stream(int s, bool sends, size_t bytes)
{
    ssize_t got;

    for (size_t done = 0; done < bytes; done += (size_t)got) {
        size_t n = bytes - done < BLOCK ? bytes - done : BLOCK;

        got = sends ? send(s, buffer, n, 0) : recv(s, buffer, n, 0);
        need(got > 0, "stream");
    }
}

/* The first MiB warms up. A byte from the one who receives says that all has come. */
static void network(unsigned n, bool sends, int s, size_t bytes)
{
    stream(s, sends, SIZE);
    mark(n);
    stream(s, sends, bytes);
    stream(s, !sends, 1);
    mark(n + 1);
}

int main(int argc, char **argv)
{
    long n[7] = { 0 };

    need(posix_memalign((void **)&buffer, 4096, SIZE) == 0, "memory");
    memset(buffer, 1, SIZE);
    need(mlock(buffer, SIZE) == 0, "mlock");
    for (int i = 2; i < argc && i < 7; i++)
        n[i] = atol(argv[i]);
    if (argc > 3 && !strcmp(argv[1], "run"))
        return run((unsigned)n[2], argv + 3);
    else if (argc == 2 && !strcmp(argv[1], "memory"))
        memory();
    else if (argc == 7 && !strcmp(argv[1], "read"))
        read_file((unsigned)n[2], argv[3], (size_t)n[4], (unsigned)n[5], (size_t)n[6]);
    else if (argc == 6 && (!strcmp(argv[1], "send") || !strcmp(argv[1], "receive")))
        network((unsigned)n[2], argv[1][0] == 's', connection(argv[3], (unsigned)n[4]), (size_t)n[5]);
    else
        return 2;
    return 0;
}
