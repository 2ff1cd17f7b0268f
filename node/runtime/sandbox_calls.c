/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seccomp: which system calls are left to a process. */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/sandbox.h"

/* All that an event loop, its threads, OpenSSL and nng over sockets that are there need. */
static const int plain_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(pread64),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(membarrier),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(getrlimit),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(connect),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(fcntl),
    SCMP_SYS(dup),
    SCMP_SYS(dup3),
};

/* Asked for in good faith by libraries; told that there is nothing. */
static const int opening_calls[] = {
    SCMP_SYS(open),       SCMP_SYS(openat),   SCMP_SYS(openat2),    SCMP_SYS(stat),
    SCMP_SYS(lstat),      SCMP_SYS(statx),    SCMP_SYS(access),     SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
};

/* Nothing of ours runs another program, looks into another process, or runs the machine. */
static const int administrative_calls[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(reboot),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(acct),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(quotactl),
    SCMP_SYS(syslog),
    SCMP_SYS(setuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setreuid),
    SCMP_SYS(setregid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setresgid),
    SCMP_SYS(setgroups),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(personality),
};

/* Allowed when one argument is this, with these bits. */
static void allow_when(scmp_filter_ctx filter, int call, unsigned argument, uint64_t mask,
                       uint64_t value)
{
    const struct scmp_arg_cmp compare = {
        .arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
    CHECK(seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &compare) == 0);
}

#define ALL_BITS UINT64_MAX
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A call that this machine's architecture does not have, or this libseccomp does not know,
 * needs no rule. */
static void rule(scmp_filter_ctx filter, uint32_t action, int call)
{
    int result = seccomp_rule_add(filter, action, call, 0);
    CHECK(result == 0 || result == -EDOM || result == -EINVAL || result == -EEXIST);
}

static void rules(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++)
        rule(filter, action, calls[i]);
}

static void install(scmp_filter_ctx filter)
{
    CHECK(seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0);
    int result = seccomp_load(filter);
    if (result != 0)
        log_warn(NULL, "seccomp failed, system calls are not limited",
                 LOG_FIELDS(LOG_I64("errno", -result)));
    seccomp_release(filter);
}

void sandbox_for_files(void)
{
    const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    CHECK(filter != NULL);
    rules(filter, refuse, administrative_calls, COUNT(administrative_calls));
    /* Threads yes, processes no. The arguments of clone3() cannot be looked at; without it the
     * C library uses clone(). */
    rule(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
    CHECK(seccomp_rule_add(filter, refuse, SCMP_SYS(clone), 1,
                           SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)) == 0);
    install(filter);
}

/* Sockets of one type to other machines, each with a port of its own. */
static void allow_sockets(scmp_filter_ctx filter, int type)
{
    static const int families[] = {AF_INET, AF_INET6};
    const uint64_t kinds = UINT32_MAX & ~(uint32_t)(SOCK_NONBLOCK | SOCK_CLOEXEC);

    for (size_t i = 0; i < COUNT(families); i++) {
        const struct scmp_arg_cmp compare[] = {
            {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (uint64_t)families[i]},
            {.arg = 1, .op = SCMP_CMP_MASKED_EQ, .datum_a = kinds, .datum_b = (uint64_t)type},
        };
        int result =
            seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, compare);
        CHECK(result == 0 || result == -EEXIST);
    }
    rule(filter, SCMP_ACT_ALLOW, SCMP_SYS(bind));
}

static void allow_network(scmp_filter_ctx filter, unsigned network)
{
    if (network != 0)
        allow_sockets(filter, SOCK_STREAM);
    if (network & SANDBOX_DNS) {
        allow_sockets(filter, SOCK_DGRAM);
        rule(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendmmsg));
        rule(filter, SCMP_ACT_ALLOW, SCMP_SYS(recvmmsg));
    }
}

void sandbox_without_files(unsigned network)
{
    const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
    scmp_filter_ctx filter = seccomp_init(refuse);

    CHECK(filter != NULL);
    rules(filter, SCMP_ACT_ALLOW, plain_calls, COUNT(plain_calls));
    rules(filter, SCMP_ACT_ERRNO(EACCES), opening_calls, COUNT(opening_calls));
    rule(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
    allow_when(filter, SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD);
    allow_when(filter, SCMP_SYS(socket), 0, ALL_BITS, AF_UNIX);
    allow_network(filter, network);
    allow_when(filter, SCMP_SYS(tgkill), 0, ALL_BITS, (uint64_t)getpid());
    allow_when(filter, SCMP_SYS(prctl), 0, ALL_BITS, PR_SET_NAME);
    allow_when(filter, SCMP_SYS(prlimit64), 2, ALL_BITS, 0); /* asking, not setting */
    allow_when(filter, SCMP_SYS(ioctl), 1, ALL_BITS, FIONBIO);
    allow_when(filter, SCMP_SYS(ioctl), 1, ALL_BITS, FIONREAD);
    install(filter);
}
