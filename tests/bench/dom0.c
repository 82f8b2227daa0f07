/* SPDX-License-Identifier: MIT */
/*
 * What a program in dom0 pays for: TSC ticks, which are instructions under -icount shift=0. Linked
 * statically; runs on any Linux, so that the bare kernel can be asked too.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t ticks(void)
{
    uint32_t lo, hi;

    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

static void measure(const char *name, void (*op)(void), unsigned rounds)
{
    for (unsigned i = 0; i < rounds / 4 + 1; i++)
        op();
    uint64_t start = ticks();

    for (unsigned i = 0; i < rounds; i++)
        op();
    printf("bench: %s 0x%llx\n", name, (unsigned long long)(ticks() - start) / rounds);
    fflush(stdout);
}

static void op_getpid(void) { syscall(SYS_getpid); }

#define PAGES 16
static volatile char *area;

static void op_page_faults(void)
{
    madvise((void *)area, PAGES * 4096, MADV_DONTNEED);
    for (int i = 0; i < PAGES; i++)
        area[i * 4096] = 1;
}

static void op_mmap(void)
{
    volatile char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (int i = 0; i < PAGES; i++)
        p[i * 4096] = 1;
    munmap((void *)p, PAGES * 4096);
}

static void op_mprotect(void)
{
    mprotect((void *)area, PAGES * 4096, PROT_READ);
    mprotect((void *)area, PAGES * 4096, PROT_READ | PROT_WRITE);
}

static void on_signal(int s) { (void)s; }
static void op_signal(void) { raise(SIGUSR1); }

static void op_fork(void)
{
    pid_t p = fork();

    if (!p)
        _exit(0);
    waitpid(p, NULL, 0);
}

static void op_exec(void)
{
    pid_t p = vfork();

    if (!p) {
        execl("/proc/self/exe", "bench", "exit", (char *)NULL);
        _exit(1);
    }
    waitpid(p, NULL, 0);
}

static int there[2], back[2];

static void op_ping_pong(void)
{
    char c = 0;

    if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
        _exit(1);
}

int main(int argc, char **argv)
{
    char c;

    if (argc > 1 && !strcmp(argv[1], "exit"))
        return 0;
    area = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal(SIGUSR1, on_signal);
    measure("getpid", op_getpid, 1000);
    measure("16 page faults and madvise", op_page_faults, 100);
    measure("signal", op_signal, 200);
    measure("mmap, touch, munmap of 64 KiB", op_mmap, 100);
    measure("mprotect of 64 KiB, twice", op_mprotect, 100);
    measure("fork, exit, wait", op_fork, 40);
    measure("vfork, exec, exit, wait", op_exec, 40);
    if (pipe(there) || pipe(back))
        return 1;
    if (!fork()) {
        close(there[1]);
        while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
            ;
        _exit(0);
    }
    measure("pipe ping-pong", op_ping_pong, 200);
    return 0;
}
