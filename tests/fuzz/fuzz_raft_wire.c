/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A frame from a peer: whatever it is, the reader ends, and what it lets through is written
 * again as it was. The same bytes are also tried as a record and a state of the log. */
#include <stdint.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "raft/log_record.h"
#include "raft/membership.h"
#include "raft/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frame_try(struct bytes frame)
{
    struct wire_reader reader = {0};
    struct wire_message message;
    if (wire_reader_start(&reader, frame) == ERR_OK) {
        const uint8_t *at = reader.rest.at;
        while (wire_reader_next(&reader, &message) == ERR_OK) {
            size_t len = wire_message_size(&message);
            uint8_t *copy = malloc(len);
            CHECK(copy != NULL && wire_message_write(copy, &message) == len);
            CHECK(at + len == reader.rest.at && memcmp(copy, at, len) == 0);
            at += len;
            free(copy);
        }
    }
    wire_reader_fini(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_from(data, size);
    struct membership membership;
    struct log_record record;
    struct log_state state;
    uint8_t state_bytes[LOG_STATE_SIZE_MAX];
    uint8_t members[MEMBERSHIP_SIZE_MAX];
    frame_try(input);
    if (membership_decode(input, &membership) == ERR_OK)
        CHECK(membership_encode(&membership, members) == size &&
              memcmp(members, data, size) == 0);
    if (log_record_read(input, &record) == ERR_OK)
        for (unsigned i = 0; i < record.count; i++)
            CHECK(log_record_entry(&record, i).term != 0);
    if (log_state_read(input, &state) == ERR_OK)
        CHECK(log_state_write(state_bytes, &state) == size);
    return 0;
}
