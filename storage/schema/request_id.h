/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_REQUEST_ID_H
#define STORAGE_SCHEMA_REQUEST_ID_H

#include "node/base/bytes.h"
#include "storage/schema/flags.h"

/*
 * What names a write, so that it is recognised when it comes again: 48 bits of milliseconds
 * since 1970, big endian, then 80 random bits. Ids of one time lie side by side in the store. A
 * delivery's id is its trace id.
 */
struct request_id {
    uint8_t bytes[REQUEST_ID_SIZE];
};

enum { REQUEST_ID_TEXT_SIZE = 27 }; /* 26 characters and a NUL */

/* `random` is 10 bytes. */
struct request_id request_id_make(uint64_t wall_ms, const uint8_t random[10]);
uint64_t request_id_time_ms(const struct request_id *id);

/*
 * The id under which part `part` of a delivery is handed over to another group: the id itself
 * for part 0, and for each other one an id of the same time that follows from the two. Part n
 * of no two deliveries has the same one.
 */
struct request_id request_id_of_part(const struct request_id *id, uint32_t part);

/* Crockford's base 32 in lower case: sorts like the bytes, and can be read out over a
 * telephone. */
void request_id_format(const struct request_id *id, char text[REQUEST_ID_TEXT_SIZE]);
/* Capitals too, and the letters that the alphabet leaves out for the digits that they look like
 * (i and l, o). False when that is no id. */
bool request_id_parse(struct bytes text, struct request_id *id);

#endif
