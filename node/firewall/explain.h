/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_EXPLAIN_H
#define NODE_FIREWALL_EXPLAIN_H

#include "node/base/buffer.h"
#include "node/firewall/counters.h"

/* Inside the firewall: words for operators. */

enum { EXPLAIN_SPAN_SIZE = 32 };

/* "90 s", "10 min", "6 h", "7 d": in the largest unit that is whole, above two days in days. */
void explain_span(uint64_t span_s, char text[EXPLAIN_SPAN_SIZE]);
/* "smtp, imap". */
void explain_scope(unsigned scope, struct buffer *text);

/* A line for each rule of this kind of key that has counted something in the slot: "rule
 * address-guesses: 3.0 guesses of secrets by address 192.0.2.7, limit 15 in 1 h (ban): ...". */
void explain_counters(const struct counters *counters, enum firewall_keyed keyed,
                      const struct table_slot *slot, const char *key, bool is_v6, uint32_t tick,
                      struct buffer *text);

#endif
