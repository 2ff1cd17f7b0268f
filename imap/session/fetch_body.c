/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "imap/session/fetch.h"
#include "node/mail/text.h"

/*
 * BODY[...]: every section but a filtered header is a run of bytes of the message, whose place
 * the summary knows. Only the blocks that it lies in are read.
 */
struct span {
    uint64_t from;
    uint64_t to;
};

/* The part that a section is taken from, or NULL: HEADER and TEXT below the top belong to the
 * message inside a message/rfc822 part (RFC 3501 section 6.4.5). */
static const struct mail_part *find_part(const struct mail_summary *summary,
                                         const struct imap_fetch_item *item)
{
    const struct mail_part *part = mail_part_find(summary, item->numbers, item->number_count);

    if (part == NULL || item->number_count == 0 || item->section == IMAP_SECTION_ALL ||
        item->section == IMAP_SECTION_MIME)
        return part;
    return bytes_equal(part->type, BYTES("MESSAGE")) ? part->children : NULL;
}

static bool find_span(struct imap_fetch *fetch, const struct imap_fetch_item *item,
                      struct span *span)
{
    uint64_t size = imap_fetch_message(fetch)->size;

    if (item->section == IMAP_SECTION_ALL && item->number_count == 0) {
        *span = (struct span){0, size};
        return true;
    }
    const struct mail_part *part = find_part(imap_fetch_summary(fetch), item);
    if (part == NULL)
        return false;
    bool is_body = item->section == IMAP_SECTION_ALL || item->section == IMAP_SECTION_TEXT;
    span->from = is_body ? part->body_at : part->header_at;
    span->to = span->from + (is_body ? part->body_len : part->header_len);
    if (span->to > size)
        span->to = size;
    if (span->from > span->to)
        span->from = span->to;
    return true;
}

static void cut_partial(const struct imap_fetch_item *item, struct span *span)
{
    if (!item->has_partial)
        return;
    if (item->partial_at < span->to - span->from)
        span->from += item->partial_at;
    else
        span->from = span->to;
    if (item->partial_len < span->to - span->from)
        span->to = span->from + item->partial_len;
}

static bool expand(struct imap_session *session, uint32_t block, struct bytes frame)
{
    struct imap_fetch *fetch = imap_fetch_of(session);
    const struct imap_fetched *message = imap_fetch_message(fetch);
    uint64_t at = (uint64_t)block * BODY_BLOCK_SIZE;
    uint64_t len = message->size - at < BODY_BLOCK_SIZE ? message->size - at : BODY_BLOCK_SIZE;

    fetch->plain_uid = 0;
    buffer_truncate(&fetch->plain, 0);
    if (body_block_expand(session->config->codec, frame, &fetch->plain) != ERR_OK ||
        buffer_len(&fetch->plain) != len)
        return false;
    fetch->plain_uid = message->uid;
    fetch->plain_block = block;
    return true;
}

static void block_answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct imap_fetch *fetch = imap_fetch_of(session);

    session->step = fetch->step;
    fetch->block_failed =
        err != ERR_OK || reply->answer_case != PR__REPLY__ANSWER_BODY_READ ||
        reply->body_read->n_blocks == 0 ||
        !expand(session, fetch->asked_block,
                bytes_from(reply->body_read->blocks[0].data, reply->body_read->blocks[0].len));
}

static void ask_block(struct imap_session *session, uint32_t block)
{
    struct imap_fetch *fetch = imap_fetch_of(session);
    Pr__Request *request = arena_alloc(&fetch->message_arena, sizeof(*request));
    Pr__BodyRead *call = arena_alloc(&fetch->message_arena, sizeof(*call));

    pr__request__init(request);
    pr__body_read__init(call);
    request->session = session->store_id;
    request->call_case = PR__REQUEST__CALL_BODY_READ;
    request->body_read = call;
    call->mailbox_id = session->selected.id;
    call->uid = imap_fetch_message(fetch)->uid;
    call->first_block = block;
    call->block_count = 1;
    fetch->asked_block = block;
    fetch->step = session->step;
    session->step = NULL;
    imap_session_call(session, request, false, block_answered);
}

/* The bytes of the body at `from`, as many as lie in one block. NULL: not there; either the
 * store is asked, or block_failed says that it was. */
static struct bytes bytes_at(struct imap_session *session, uint64_t from)
{
    struct imap_fetch *fetch = imap_fetch_of(session);
    const struct imap_fetched *message = imap_fetch_message(fetch);
    uint32_t block = (uint32_t)(from / BODY_BLOCK_SIZE);
    struct bytes nothing = {NULL, 0};

    if (fetch->block_failed)
        return nothing;
    if (fetch->plain_uid != message->uid || fetch->plain_block != block) {
        if (message->block.len == 0) {
            ask_block(session, block);
            return nothing;
        }
        if (block != 0 || !expand(session, 0, message->block)) {
            fetch->block_failed = true;
            return nothing;
        }
    }
    return bytes_skip(buffer_bytes(&fetch->plain), from % BODY_BLOCK_SIZE);
}

/* A NUL may stand in no literal (RFC 3501 section 4.3); 0x80 takes its place, as the size is
 * told already. */
static void add_text(struct buffer *out, struct bytes text)
{
    if (text.len == 0)
        return;
    uint8_t *copy = buffer_reserve(out, text.len);
    memcpy(copy, text.at, text.len);
    for (uint8_t *nul = memchr(copy, 0, text.len); nul != NULL;
         nul = memchr(nul, 0, text.len - (size_t)(nul - copy)))
        *nul = 0x80;
    buffer_added(out, text.len);
}

static void say_label(struct imap_session *session, const struct imap_fetch_item *item)
{
    buffer_add(&session->output, item->label);
    buffer_add_byte(&session->output, ' ');
}

static enum imap_progress give_up(struct imap_session *session)
{
    struct imap_fetch *fetch = imap_fetch_of(session);

    /* The rest of a literal cannot be taken back: the client must not take half a message for a
     * whole one. */
    if (session->running->in_literal) {
        imap_session_bye(session, "[UNAVAILABLE] The message could not be read");
        return IMAP_PROGRESS_WAIT;
    }
    fetch->block_failed = false;
    fetch->in_section = false;
    fetch->in_header = false;
    fetch->failed = true;
    buffer_release(&fetch->header);
    say_label(session, &fetch->items->at[fetch->item]);
    imap_say(session, "NIL");
    return IMAP_PROGRESS_DONE;
}

/* Writes from fetch->from to fetch->to. */
static enum imap_progress write_span(struct imap_session *session,
                                     const struct imap_fetch_item *item)
{
    struct imap_fetch *fetch = imap_fetch_of(session);

    while (fetch->from < fetch->to || !session->running->in_literal) {
        uint64_t left = fetch->to - fetch->from;
        struct bytes text = BYTES("");
        if (left > 0) {
            text = bytes_at(session, fetch->from);
            if (text.at == NULL)
                return fetch->block_failed ? give_up(session) : IMAP_PROGRESS_WAIT;
        }
        /* Only now that the beginning is there. */
        if (!session->running->in_literal) {
            say_label(session, item);
            imap_say(session, "{%" PRIu64 "}\r\n", left);
            session->running->in_literal = true;
        }
        if (text.len > IMAP_OUTPUT_CHUNK)
            text.len = IMAP_OUTPUT_CHUNK;
        if (text.len > left)
            text.len = left;
        add_text(&session->output, text);
        fetch->from += text.len;
        if (fetch->from < fetch->to && buffer_len(&session->output) >= IMAP_OUTPUT_CHUNK)
            return IMAP_PROGRESS_MORE;
    }
    session->running->in_literal = false;
    fetch->in_section = false;
    return IMAP_PROGRESS_DONE;
}

static bool is_named(const struct imap_fetch_item *item, struct bytes name)
{
    for (size_t i = 0; i < item->name_count; i++)
        if (bytes_equal_nocase(item->names[i], name))
            return true;
    return false;
}

static void write_filtered(struct imap_session *session, const struct imap_fetch_item *item)
{
    struct imap_fetch *fetch = imap_fetch_of(session);
    struct bytes rest = buffer_bytes(&fetch->header);
    struct buffer kept = BUFFER_EMPTY;
    struct mail_field field;

    while (mail_field_next(&rest, &field))
        if (is_named(item, field.name) == (item->section == IMAP_SECTION_FIELDS))
            buffer_add(&kept, field.whole);
    buffer_add_string(&kept, "\r\n");
    struct span span = {0, buffer_len(&kept)};
    cut_partial(item, &span);
    say_label(session, item);
    imap_say(session, "{%" PRIu64 "}\r\n", span.to - span.from);
    add_text(&session->output,
             bytes_from(buffer_bytes(&kept).at + span.from, span.to - span.from));
    buffer_fini(&kept);
}

/* Gathers the header between fetch->from and fetch->to, then writes what is wanted of it. */
static enum imap_progress write_fields(struct imap_session *session,
                                       const struct imap_fetch_item *item)
{
    struct imap_fetch *fetch = imap_fetch_of(session);

    while (fetch->from < fetch->to) {
        struct bytes text = bytes_at(session, fetch->from);
        if (text.at == NULL)
            return fetch->block_failed ? give_up(session) : IMAP_PROGRESS_WAIT;
        if (text.len > fetch->to - fetch->from)
            text.len = fetch->to - fetch->from;
        buffer_add(&fetch->header, text);
        fetch->from += text.len;
    }
    write_filtered(session, item);
    buffer_release(&fetch->header);
    fetch->in_header = false;
    return IMAP_PROGRESS_DONE;
}

enum imap_progress imap_fetch_write_section(struct imap_session *session,
                                            const struct imap_fetch_item *item)
{
    struct imap_fetch *fetch = imap_fetch_of(session);
    bool filtered =
        item->section == IMAP_SECTION_FIELDS || item->section == IMAP_SECTION_FIELDS_NOT;
    struct span span;

    if (fetch->in_header)
        return write_fields(session, item);
    if (fetch->in_section)
        return write_span(session, item);
    if (!find_span(fetch, item, &span)) {
        say_label(session, item);
        imap_say(session, "NIL");
        return IMAP_PROGRESS_DONE;
    }
    fetch->block_failed = false;
    if (filtered && span.to - span.from > MAIL_HEADER_SIZE_MAX)
        span.to = span.from + MAIL_HEADER_SIZE_MAX;
    if (!filtered)
        cut_partial(item, &span);
    fetch->from = span.from;
    fetch->to = span.to;
    fetch->in_header = filtered;
    fetch->in_section = !filtered;
    return filtered ? write_fields(session, item) : write_span(session, item);
}
