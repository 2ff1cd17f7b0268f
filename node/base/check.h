/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_BASE_CHECK_H
#define NODE_BASE_CHECK_H

/* Abort when the program itself is wrong. On in every build, release included. */
#define CHECK(condition)                                                                       \
    ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__, __func__))

_Noreturn void check_failed(const char *condition, const char *file, int line,
                            const char *function);

#endif
