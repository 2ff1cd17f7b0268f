/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "imap/protocol/write.h"
#include "imap/session/fetch.h"

const struct mail_summary *imap_fetch_summary(struct imap_fetch *fetch)
{
    const struct imap_fetched *message = imap_fetch_message(fetch);

    if (fetch->has_summary)
        return &fetch->summary;
    fetch->has_summary = true;
    if (mail_summary_decode(message->summary, &fetch->message_arena, &fetch->summary) &&
        fetch->summary.root != NULL)
        return &fetch->summary;
    /* Nothing is known of the message but its size: the client sees one text without header. */
    struct mail_part *root = arena_alloc(&fetch->message_arena, sizeof(*root));
    *root = (struct mail_part){
        .type = BYTES("TEXT"),
        .subtype = BYTES("PLAIN"),
        .encoding = BYTES("8BIT"),
        .body_len = message->size,
    };
    fetch->summary = (struct mail_summary){.root = root, .size = message->size};
    fetch->failed = true;
    return &fetch->summary;
}

static void write_date(struct imap_session *session, const struct imap_fetched *message)
{
    struct mail_date date = {message->internal_s, message->internal_zone};
    char text[MAIL_DATE_TEXT_SIZE];

    mail_date_format_imap(date, text);
    imap_say(session, "INTERNALDATE \"%s\"", text);
}

static void write_flags(struct imap_session *session, const struct imap_fetched *message)
{
    imap_say(session, "FLAGS ");
    imap_flags_write(message->flags, &session->selected.keywords, &session->output);
}

static enum imap_progress write_item(struct imap_session *session,
                                     const struct imap_fetch_item *item)
{
    struct imap_fetch *fetch = imap_fetch_of(session);
    const struct imap_fetched *message = imap_fetch_message(fetch);

    switch (item->kind) {
    case IMAP_FETCH_FLAGS:
        write_flags(session, message);
        break;
    case IMAP_FETCH_UID:
        imap_say(session, "UID %u", message->uid);
        break;
    case IMAP_FETCH_INTERNALDATE:
        write_date(session, message);
        break;
    case IMAP_FETCH_SIZE:
        imap_say(session, "RFC822.SIZE %" PRIu64, message->size);
        break;
    case IMAP_FETCH_ENVELOPE:
        imap_say(session, "ENVELOPE ");
        imap_write_envelope(&session->output, &imap_fetch_summary(fetch)->envelope);
        break;
    case IMAP_FETCH_BODY:
        imap_say(session, "BODY ");
        imap_write_structure(&session->output, imap_fetch_summary(fetch)->root, false);
        break;
    case IMAP_FETCH_BODYSTRUCTURE:
        imap_say(session, "BODYSTRUCTURE ");
        imap_write_structure(&session->output, imap_fetch_summary(fetch)->root, true);
        break;
    case IMAP_FETCH_SECTION:
        return imap_fetch_write_section(session, item);
    }
    return IMAP_PROGRESS_DONE;
}

static bool asks_for(const struct imap_fetch_items *items, enum imap_fetch_kind kind)
{
    for (size_t i = 0; i < items->count; i++)
        if (items->at[i].kind == kind)
            return true;
    return false;
}

static void begin(struct imap_session *session)
{
    struct imap_fetch *fetch = imap_fetch_of(session);
    const struct imap_fetched *message = imap_fetch_message(fetch);

    fetch->is_begun = true;
    fetch->has_summary = false;
    fetch->item = 0;
    imap_say(session, "* %u FETCH (", imap_view_number(&session->selected.view, message->uid));
    /* The UID forms answer with the UID, asked for or not (RFC 3501 section 6.4.8). */
    if (session->running->by_uid && !asks_for(fetch->items, IMAP_FETCH_UID))
        imap_say(session, "UID %u ", message->uid);
    if (message->flags_changed && !asks_for(fetch->items, IMAP_FETCH_FLAGS)) {
        write_flags(session, message);
        imap_say(session, " ");
    }
}

enum imap_progress imap_fetch_write_message(struct imap_session *session)
{
    struct imap_fetch *fetch = imap_fetch_of(session);

    if (!fetch->is_begun)
        begin(session);
    while (fetch->item < fetch->items->count) {
        if (fetch->item > 0 && !fetch->in_section && !fetch->in_header)
            imap_say(session, " ");
        enum imap_progress progress = write_item(session, &fetch->items->at[fetch->item]);
        if (progress != IMAP_PROGRESS_DONE)
            return progress;
        fetch->item++;
    }
    imap_say(session, ")\r\n");
    fetch->is_begun = false;
    arena_fini(&fetch->message_arena);
    return IMAP_PROGRESS_DONE;
}
