/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/memory_budget.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/base/bytes.h"
#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/loop.h"
#include "node/runtime/metrics.h"

enum {
    LOOK_MS = 100,
    TRIM_MS = 1000, /* giving back walks over the whole heap */
    NEAR_PERCENT = 85,
    NEAR_OVER_PERCENT = 80, /* under it, it is not near any more */
    OVER_OVER_PERCENT = 90,
};

struct memory_budget {
    uint64_t bytes, used, page_size;
    uint64_t looked_ms, trimmed_ms; /* 0: never */
    int fd;                         /* /proc/self/statm */
    bool near, over;
};

static uint64_t number_of_file(const char *path)
{
    char text[32];
    uint64_t number = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof(text)) : -1;

    if (fd >= 0)
        close(fd);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    return len > 0 && bytes_to_u64(bytes_from(text, (size_t)len), &number) ? number : 0;
}

/* Of the machine, or of the container that this is: "max" is no number. */
static uint64_t memory_there(uint64_t page_size)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * page_size;
    uint64_t container = number_of_file("/sys/fs/cgroup/memory.max");

    return container > 0 && container < machine ? container : machine;
}

struct memory_budget *memory_budget_new(uint64_t budget_bytes)
{
    struct memory_budget *budget = calloc(1, sizeof(*budget));

    CHECK(budget != NULL);
    budget->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    budget->bytes = budget_bytes > 0 ? budget_bytes : memory_there(budget->page_size) / 4;
    budget->fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (budget->fd < 0)
        log_warn(NULL, "memory is not watched, the kernel does not tell", NULL);
    return budget;
}

void memory_budget_free(struct memory_budget **budget)
{
    if (*budget != NULL && (*budget)->fd >= 0)
        close((*budget)->fd);
    free(*budget);
    *budget = NULL;
}

/* The second number is what is in memory, the third what of that belongs to files. */
static uint64_t look(const struct memory_budget *budget)
{
    unsigned long long resident = 0, shared = 0;
    char text[128];
    ssize_t len = budget->fd >= 0 ? pread(budget->fd, text, sizeof(text) - 1, 0) : -1;

    if (len <= 0)
        return 0;
    text[len] = '\0';
    if (sscanf(text, "%*u %llu %llu", &resident, &shared) != 2 || shared > resident)
        return 0;
    return (resident - shared) * budget->page_size;
}

static uint64_t part(const struct memory_budget *budget, unsigned percent)
{
    return budget->bytes / 100 * percent;
}

static void log_change(const struct memory_budget *budget)
{
    log_line(budget->over ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, NULL,
             budget->over ? "memory budget used up, no new mail is taken"
                          : "memory is within its budget again",
             LOG_FIELDS(LOG_U64("used", budget->used), LOG_U64("budget", budget->bytes)));
}

static void update(struct memory_budget *budget)
{
    uint64_t now_ms = clock_monotonic_ms();
    bool was_over = budget->over;

    if (budget->looked_ms != 0 && now_ms - budget->looked_ms < LOOK_MS)
        return;
    budget->looked_ms = now_ms;
    budget->used = look(budget);
    /* Also while it is over: what was freed since may still be held. */
    if (budget->used >= part(budget, budget->over ? OVER_OVER_PERCENT : 100) &&
        (budget->trimmed_ms == 0 || now_ms - budget->trimmed_ms >= TRIM_MS)) {
        budget->trimmed_ms = now_ms;
        malloc_trim(0);
        budget->used = look(budget);
    }
    budget->near =
        budget->used >= part(budget, budget->near ? NEAR_OVER_PERCENT : NEAR_PERCENT);
    budget->over = budget->used >= part(budget, budget->over ? OVER_OVER_PERCENT : 100);
    metric_set(METRIC_MEMORY_USED, budget->used);
    metric_set(METRIC_MEMORY_OVER, budget->over);
    if (budget->over != was_over)
        log_change(budget);
}

bool memory_budget_near(struct memory_budget *budget)
{
    update(budget);
    return budget->near;
}

bool memory_budget_over(struct memory_budget *budget)
{
    update(budget);
    return budget->over;
}

uint64_t memory_budget_used(struct memory_budget *budget)
{
    update(budget);
    return budget->used;
}

uint64_t memory_budget_bytes(const struct memory_budget *budget)
{
    return budget->bytes;
}
