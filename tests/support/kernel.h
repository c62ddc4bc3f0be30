/*
 * Make this process's kernel one that refuses: a seccomp filter answers system
 * calls that match a rule with an error. It takes no privilege and cannot be
 * taken back, so it belongs into a child (in_child.h).
 *
 *     static const struct kernel_rule no_collapse = {
 *         SYS_madvise, .argument = 2, .mask = ~0u, .value = 25,
 *         .error = EINVAL};
 *     CHILD_CHECK(kernel_refuse(&no_collapse, 1));
 */
#ifndef PX_TESTS_KERNEL_H
#define PX_TESTS_KERNEL_H

#if defined(__linux__)

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Refuses a call whose (argument & mask) == value. */
struct kernel_rule {
    uint32_t call;
    unsigned argument; /* 0 to 5; only its low 32 bits are looked at */
    uint32_t mask, value;
    uint32_t least_4gb; /* the second argument, a length: at least n * 4 GB */
    int error;
};

enum { KERNEL_RULES = 4, KERNEL_STEPS = 8 };

/* Offset of one half of an argument in what a filter may look at. */
static inline uint32_t
kernel_half(unsigned argument, bool high)
{
    uint32_t at = (uint32_t)(offsetof(struct seccomp_data, args) +
                             argument * sizeof(uint64_t));
    bool big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    return at + (high != big_endian ? 4u : 0u);
}

/* The rule as KERNEL_STEPS instructions; each jump that does not match goes
 * behind the last of them. */
static inline void
kernel_compile(const struct kernel_rule *rule, struct sock_filter *step)
{
    const uint16_t load = BPF_LD | BPF_W | BPF_ABS;
    const uint32_t nr = offsetof(struct seccomp_data, nr);
    const struct sock_filter steps[KERNEL_STEPS] = {
        BPF_STMT(load, nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->call, 0, 6),
        BPF_STMT(load, kernel_half(1, true)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, rule->least_4gb, 0, 4),
        BPF_STMT(load, kernel_half(rule->argument, false)),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, rule->mask),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)rule->error),
    };
    for (int i = 0; i < KERNEL_STEPS; i++)
        step[i] = steps[i];
}

/* False when this system has no filters: nothing is refused then. */
static inline bool
kernel_refuse(const struct kernel_rule *rules, unsigned short count)
{
    struct sock_filter steps[KERNEL_RULES * KERNEL_STEPS + 1];
    unsigned short used = 0;
    for (; count > 0 && used < KERNEL_RULES * KERNEL_STEPS; count--) {
        kernel_compile(rules++, &steps[used]);
        used += KERNEL_STEPS;
    }
    steps[used++] =
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {used, steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#endif

#endif
