/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/text.h"
#include "smtp/message/header_edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct bytes own_names[] = {BYTES_INIT("us.example")};

static const struct smtp_header_edit_config configs[] = {
    {.drop = SMTP_DROP_ON_RECEPTION, .authserv_ids = own_names, .authserv_id_count = 1},
    {.drop = SMTP_DROP_ON_SUBMISSION,
     .date = BYTES_INIT("today"),
     .message_id = BYTES_INIT("<m@x>")},
    {.drop = SMTP_DROP_FOR_LIST, .append = BYTES_INIT("List-Id: <l>\r\n")},
    {.size_max = 100, .lines_max = 5},
};

static unsigned play(const struct smtp_header_edit_config *config, struct bytes text,
                     size_t step, struct buffer *output, struct arena *arena,
                     struct smtp_header_facts *facts)
{
    struct smtp_header_edit *edit = smtp_header_edit_new(config);

    while (text.len > 0) {
        struct bytes piece = bytes_from(text.at, step < text.len ? step : text.len);
        smtp_header_edit_feed(edit, piece, output);
        text = bytes_skip(text, piece.len);
    }
    smtp_header_edit_finish(edit, output);
    *facts = *smtp_header_edit_facts(edit);
    struct mail_address *from = arena_alloc(arena, (facts->from.count + 1) * sizeof(*from));
    for (size_t i = 0; i < facts->from.count; i++) {
        from[i] = facts->from.at[i];
        from[i].local = arena_copy(arena, from[i].local);
        from[i].domain = arena_copy(arena, from[i].domain);
    }
    facts->from.at = from;
    smtp_header_edit_free(&edit);
    return facts->faults;
}

/* A mailbox shows the senders that were looked at, and nobody's Bcc. */
static void check_shown(const struct smtp_header_edit_config *config, struct bytes output,
                        const struct smtp_header_facts *facts, struct arena *arena)
{
    struct mail_scanner *scanner = mail_scanner_new();
    struct mail_summary summary;

    mail_scanner_feed(scanner, output);
    mail_scanner_finish(scanner, arena, &summary);
    CHECK(summary.envelope.from.count == facts->from.count);
    for (size_t i = 0; i < facts->from.count; i++) {
        CHECK(bytes_equal(summary.envelope.from.at[i].local, facts->from.at[i].local));
        CHECK(bytes_equal(summary.envelope.from.at[i].domain, facts->from.at[i].domain));
    }
    if ((config->drop & SMTP_DROP_BCC) != 0)
        CHECK(summary.envelope.bcc.count == 0);
    if (config->date.len > 0)
        CHECK(summary.envelope.date.at != NULL && summary.envelope.message_id.at != NULL);
    mail_scanner_free(&scanner);
}

/* Edited again, nothing changes but what is appended anew. */
static void check_again(const struct smtp_header_edit_config *config, struct bytes output,
                        struct arena *arena)
{
    struct smtp_header_edit_config drops = {.drop = config->drop & ~(unsigned)SMTP_DROP_LIST,
                                            .authserv_ids = config->authserv_ids,
                                            .authserv_id_count = config->authserv_id_count};
    struct smtp_header_facts facts;
    struct buffer again = BUFFER_EMPTY;

    play(&drops, output, SIZE_MAX, &again, arena, &facts);
    CHECK(facts.dropped == 0);
    CHECK(bytes_equal(buffer_bytes(&again), output));
    buffer_fini(&again);
}

/* A byte that chooses the rules, one that chooses the size of the pieces, the message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer whole = BUFFER_EMPTY;
    struct buffer pieces = BUFFER_EMPTY;
    struct smtp_header_facts facts;
    struct smtp_header_facts piece_facts;
    struct arena arena;

    if (size < 2)
        return 0;
    const struct smtp_header_edit_config *config = &configs[data[0] % 4];
    struct bytes text = bytes_from(data + 2, size - 2);
    arena_init(&arena);
    unsigned faults = play(config, text, SIZE_MAX, &whole, &arena, &facts);
    CHECK(play(config, text, 1 + data[1] % 16, &pieces, &arena, &piece_facts) == faults);
    CHECK(bytes_equal(buffer_bytes(&whole), buffer_bytes(&pieces)));
    CHECK(memcmp(facts.counts, piece_facts.counts, sizeof(facts.counts)) == 0);
    if ((faults & (SMTP_FAULT_TOO_LARGE | SMTP_FAULT_FIELD_TOO_LARGE)) == 0) {
        check_shown(config, buffer_bytes(&whole), &facts, &arena);
        check_again(config, buffer_bytes(&whole), &arena);
    }
    buffer_fini(&whole);
    buffer_fini(&pieces);
    arena_fini(&arena);
    return 0;
}
