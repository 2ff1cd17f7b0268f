/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_BENCH_SMTP_RESULT_H
#define TESTS_BENCH_SMTP_RESULT_H

#include <stdio.h>

#include "node/base/buffer.h"

/* What became of the messages, and how long each took. */
struct smtp_result {
    FILE *tokens; /* NULL: not wanted */
    uint64_t started_us;
    uint64_t last_us; /* the last reply to a message */
    uint64_t accepted;
    uint64_t bytes; /* of those accepted */
    uint64_t refused;
    uint64_t unknown;          /* the connection broke behind the final dot */
    uint64_t connections_lost; /* or not made */
    uint64_t codes[600];       /* replies that ended a message */
    struct buffer latencies;   /* uint32_t microseconds of those accepted */
};

uint64_t smtp_result_now_us(void);

/* "250 trace-id", another code with its text, or NULL: not known. */
void smtp_result_add(struct smtp_result *result, const char *token, const char *reply,
                     size_t size, uint64_t began_us);

/* One JSON object on standard output. */
void smtp_result_print(struct smtp_result *result, unsigned connections, size_t size);

#endif
