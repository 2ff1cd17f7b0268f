/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/smtp_result.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "node/base/check.h"

uint64_t smtp_result_now_us(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void smtp_result_add(struct smtp_result *result, const char *token, const char *reply,
                     size_t size, uint64_t began_us)
{
    unsigned code = reply != NULL ? (unsigned)strtoul(reply, NULL, 10) : 0;
    uint32_t latency_us;

    result->last_us = smtp_result_now_us();
    if (reply == NULL) {
        result->unknown++;
    } else if (code == 250) {
        result->accepted++;
        result->bytes += size;
        latency_us = (uint32_t)(result->last_us - began_us);
        buffer_add(&result->latencies, bytes_from(&latency_us, sizeof(latency_us)));
    } else {
        result->refused++;
    }
    if (code > 0 && code < sizeof(result->codes) / sizeof(result->codes[0]))
        result->codes[code]++;
    if (result->tokens == NULL)
        return;
    const char *trace = reply != NULL ? strstr(reply, "id=") : NULL;
    if (reply == NULL)
        fprintf(result->tokens, "%s unknown\n", token);
    else if (trace != NULL)
        fprintf(result->tokens, "%s %u %s\n", token, code, trace + 3);
    else
        fprintf(result->tokens, "%s %u\n", token, code);
    fflush(result->tokens);
}

static int compare(const void *a, const void *b)
{
    uint32_t left;
    uint32_t right;

    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return left < right ? -1 : left > right;
}

static double percentile(const struct smtp_result *result, double part)
{
    struct bytes all = buffer_bytes(&result->latencies);
    size_t count = all.len / sizeof(uint32_t);
    uint32_t value;

    if (count == 0)
        return 0;
    size_t at = (size_t)((double)(count - 1) * part);
    memcpy(&value, all.at + at * sizeof(value), sizeof(value));
    return (double)value / 1000;
}

void smtp_result_print(struct smtp_result *result, unsigned connections, size_t size)
{
    uint64_t spent_us =
        result->last_us > result->started_us ? result->last_us - result->started_us : 1;
    double seconds = (double)spent_us / 1e6;
    struct rusage usage;
    bool first = true;

    if (buffer_len(&result->latencies) > 0)
        qsort(result->latencies.memory + result->latencies.start,
              buffer_len(&result->latencies) / sizeof(uint32_t), sizeof(uint32_t), compare);
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    printf("{\"connections\": %u, \"size\": %zu, \"started_s\": %.3f, \"seconds\": %.3f, ",
           connections, size, (double)result->started_us / 1e6, seconds);
    printf("\"accepted\": %llu, \"accepted_per_s\": %.1f, \"megabytes_per_s\": %.2f, ",
           (unsigned long long)result->accepted, (double)result->accepted / seconds,
           (double)result->bytes / seconds / 1e6);
    printf("\"latency_ms\": {\"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, \"max\": %.2f}, ",
           percentile(result, 0.5), percentile(result, 0.9), percentile(result, 0.99),
           percentile(result, 1));
    printf("\"refused\": %llu, \"unknown\": %llu, \"connections_lost\": %llu, ",
           (unsigned long long)result->refused, (unsigned long long)result->unknown,
           (unsigned long long)result->connections_lost);
    printf("\"client_cpu_s\": %.2f, \"codes\": {",
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    for (unsigned code = 0; code < 600; code++) {
        if (result->codes[code] == 0)
            continue;
        printf("%s\"%u\": %llu", first ? "" : ", ", code,
               (unsigned long long)result->codes[code]);
        first = false;
    }
    printf("}}\n");
}
