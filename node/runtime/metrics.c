/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "node/base/check.h"

#define METRIC_ROW(name, text, help) [METRIC_##name] = {text, help},
static const struct {
    const char *name;
    const char *help;
} rows[] = {METRICS(METRIC_ROW)};
#undef METRIC_ROW

static _Atomic uint64_t values[METRIC_COUNT];

void metric_add(enum metric metric, uint64_t amount)
{
    CHECK((unsigned)metric < METRIC_COUNT);
    atomic_fetch_add_explicit(&values[metric], amount, memory_order_relaxed);
}

void metric_sub(enum metric metric, uint64_t amount)
{
    CHECK((unsigned)metric < METRIC_COUNT);
    atomic_fetch_sub_explicit(&values[metric], amount, memory_order_relaxed);
}

void metric_set(enum metric metric, uint64_t value)
{
    CHECK((unsigned)metric < METRIC_COUNT);
    atomic_store_explicit(&values[metric], value, memory_order_relaxed);
}

void metric_raise(enum metric metric, uint64_t value)
{
    CHECK((unsigned)metric < METRIC_COUNT);
    uint64_t known = atomic_load_explicit(&values[metric], memory_order_relaxed);
    while (known < value &&
           !atomic_compare_exchange_weak_explicit(&values[metric], &known, value,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

uint64_t metric_get(enum metric metric)
{
    CHECK((unsigned)metric < METRIC_COUNT);
    return atomic_load_explicit(&values[metric], memory_order_relaxed);
}

/* What only grows is called ..._total; everything else is a gauge. */
static const char *kind_of(const char *name)
{
    static const char ending[] = "_total";
    size_t len = strlen(name);
    bool grows =
        len >= sizeof(ending) - 1 && strcmp(name + len - (sizeof(ending) - 1), ending) == 0;
    return grows ? "counter" : "gauge";
}

void metrics_print(struct buffer *text)
{
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        buffer_printf(text, "# HELP postraft_%s %s\n", rows[i].name, rows[i].help);
        buffer_printf(text, "# TYPE postraft_%s %s\n", rows[i].name, kind_of(rows[i].name));
        buffer_printf(text, "postraft_%s %" PRIu64 "\n", rows[i].name,
                      metric_get((enum metric)i));
    }
}
