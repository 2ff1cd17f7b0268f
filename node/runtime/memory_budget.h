/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_MEMORY_BUDGET_H
#define NODE_RUNTIME_MEMORY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What this process may use of the machine's memory. It is not enforced: a front end asks
 * before it takes on more, and says "later" (452 4.3.1) when it is over. Counted is what
 * belongs to the process alone (no mapped files), read from the kernel every 100 ms at most.
 *
 * near: from 85 % on, until it is under 80 % again; over: from 100 % on, until under 90 %.
 * Memory that is free but still held is given back to the kernel before `over` is said.
 */
struct memory_budget;

/* budget_bytes 0: a quarter of what the machine, or its container, has. To be called before the
 * sandbox. */
struct memory_budget *memory_budget_new(uint64_t budget_bytes);
void memory_budget_free(struct memory_budget **budget);

bool memory_budget_near(struct memory_budget *budget);
bool memory_budget_over(struct memory_budget *budget);
/* As of the last look, 100 ms ago at most. */
uint64_t memory_budget_used(struct memory_budget *budget);
uint64_t memory_budget_bytes(const struct memory_budget *budget);

#endif
