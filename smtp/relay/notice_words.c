/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/notice_internal.h"

/* The part for people: which address, who said what, what happens next. */

enum {
    RECIPIENT_INDENT = 2,
    DETAIL_INDENT = 4,
    QUOTE_INDENT = 6,
    QUOTE_LINES_MAX = 50,
};

static const struct {
    const char *one;
    const char *several;
} openings[NOTICE_ACTIONS] = {
    [NOTICE_FAILED] =
        {"Your message could not be delivered to this address, and is not tried "
         "any further:",
         "Your message could not be delivered to these addresses, and is not tried "
         "any further:"},
    [NOTICE_DELAYED] =
        {"Your message has not reached this address yet. This is no failure: it is "
         "still being tried, and you need not send it again.",
         "Your message has not reached these addresses yet. This is no failure: it "
         "is still being tried, and you need not send it again."},
    [NOTICE_RELAYED] =
        {"Your message was taken by the mail system of this address, which cannot "
         "be asked for a notice of its own. No further one will come.",
         "Your message was taken by the mail systems of these addresses, which "
         "cannot be asked for notices of their own. No further ones will come."},
    [NOTICE_DELIVERED] = {"Your message was delivered to this address:",
                          "Your message was delivered to these addresses:"},
    [NOTICE_EXPANDED] = {"Your message was delivered to this address, which passes it on to "
                         "others:",
                         "Your message was delivered to these addresses, which pass it on to "
                         "others:"},
};

/* What a status of a failure means (RFC 3463 and the registry that grew from it), for those who
 * do not read the reply. The first row that the status begins with counts. */
static const struct {
    const char *status;
    const char *words;
} reasons[] = {
    {"5.1.1", "There is no such address there."},
    {"5.1.2", "There is no mail system for that domain."},
    {"5.1.3", "The address is not written as it has to be."},
    {"5.1.6", "The address has moved."},
    {"5.1.10", "That domain takes no mail."},
    {"5.2.1", "The mailbox is closed."},
    {"5.2.2", "The mailbox is full."},
    {"5.2.3", "The message is too large for that mailbox."},
    {"5.3.4", "The message is too large for that mail system."},
    {"5.4.4", "There is no mail system to be found for that domain."},
    {"5.4.6", "The message goes in circles."},
    {"5.4.7", "It could not be delivered within the time that was asked for."},
    {"5.6.7",
     "The address or message needs characters that the mail system there does not take."},
    {"5.7.1", "The mail system there refuses this message."},
    {"5.7.30", "You asked for encryption all the way, and that cannot be had there."},
    {"4.", "It was tried for as long as it may wait. This is what was heard last:"},
};

static const char *find_reason(struct bytes status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        struct bytes row = bytes_of(reasons[i].status);
        bool starts = row.at[row.len - 1] == '.';
        if (starts ? bytes_start_nocase(status, row) : bytes_equal(status, row))
            return reasons[i].words;
    }
    return NULL;
}

static void add_words(struct buffer *text, const char *words, unsigned indent)
{
    notice_wrap(text, bytes_of(words), indent);
}

/* Each line of a reply in lines of its own. */
static void add_quote(struct buffer *text, struct bytes reply, struct buffer *scratch)
{
    bool is_cut = reply.len > NOTICE_DIAGNOSTIC_SIZE_MAX;

    if (is_cut)
        reply.len = NOTICE_DIAGNOSTIC_SIZE_MAX;
    for (unsigned i = 0; i < QUOTE_LINES_MAX && reply.len > 0; i++) {
        size_t len = bytes_find(reply, '\n');
        buffer_clear(scratch);
        notice_line_add(scratch, bytes_from(reply.at, len), len, NOTICE_UTF8);
        reply = bytes_skip(reply, len + 1);
        if (buffer_len(scratch) > 0)
            notice_wrap(text, buffer_bytes(scratch), QUOTE_INDENT);
    }
    if (is_cut || reply.len > 0)
        add_words(text, "[...]", QUOTE_INDENT);
}

static void add_date(struct buffer *text, const char *words, int64_t seconds,
                     struct buffer *scratch)
{
    if (seconds == 0)
        return;
    buffer_clear(scratch);
    buffer_add_string(scratch, words);
    notice_date_add(scratch, seconds);
    buffer_add_byte(scratch, '.');
    notice_wrap(text, buffer_bytes(scratch), DETAIL_INDENT);
}

static void add_recipient(struct buffer *text, const struct notice_recipient *recipient,
                          struct buffer *scratch)
{
    const char *reason =
        recipient->action == NOTICE_FAILED ? find_reason(notice_status(recipient)) : NULL;

    buffer_add_string(text, "\r\n");
    buffer_clear(scratch);
    buffer_add_byte(scratch, '<');
    notice_line_add(scratch, recipient->address, NOTICE_ADDRESS_SIZE_MAX, NOTICE_UTF8);
    buffer_add_byte(scratch, '>');
    notice_wrap(text, buffer_bytes(scratch), RECIPIENT_INDENT);
    if (reason != NULL)
        add_words(text, reason, DETAIL_INDENT);
    if (recipient->diagnostic.len > 0) {
        buffer_clear(scratch);
        notice_line_add(scratch, recipient->remote, NOTICE_ADDRESS_SIZE_MAX, NOTICE_UTF8);
        buffer_add_string(scratch,
                          recipient->remote.len > 0 ? " said:" : "No host was reached:");
        notice_wrap(text, buffer_bytes(scratch), DETAIL_INDENT);
        add_quote(text, recipient->diagnostic, scratch);
    }
    if (recipient->action != NOTICE_DELAYED)
        return;
    add_date(text, "It was last tried ", recipient->tried_s, scratch);
    add_date(text, "It will be tried until ", recipient->retry_until_s, scratch);
}

static void add_group(struct buffer *text, const struct notice *notice,
                      enum notice_action action, struct buffer *scratch)
{
    size_t count = 0;

    for (size_t i = 0; i < notice->recipient_count; i++)
        count += notice->recipients[i].action == action;
    if (count == 0)
        return;
    buffer_add_string(text, "\r\n");
    add_words(text, count == 1 ? openings[action].one : openings[action].several, 0);
    for (size_t i = 0; i < notice->recipient_count; i++)
        if (notice->recipients[i].action == action)
            add_recipient(text, &notice->recipients[i], scratch);
}

static void add_opening(struct buffer *text, const struct notice *notice,
                        struct buffer *scratch)
{
    buffer_clear(scratch);
    buffer_add_string(scratch, "This is the mail system at ");
    notice_line_add(scratch, notice->hostname, NOTICE_ADDRESS_SIZE_MAX, NOTICE_ASCII);
    if (notice->arrival_s != 0) {
        buffer_add_string(scratch, ". It tells of the message that you sent through it on ");
        notice_date_add(scratch, notice->arrival_s);
    }
    buffer_add_byte(scratch, '.');
    notice_wrap(text, buffer_bytes(scratch), 0);
}

static void add_ending(struct buffer *text, const struct notice *notice, struct buffer *scratch)
{
    bool own = notice->postmaster_domain.len > 0;

    buffer_add_string(text, "\r\n");
    buffer_clear(scratch);
    buffer_add_string(scratch, "Whoever needs help may write to postmaster@");
    notice_line_add(scratch, own ? notice->postmaster_domain : notice->hostname,
                    NOTICE_ADDRESS_SIZE_MAX, NOTICE_ASCII);
    buffer_add_string(scratch, " and add this notice.");
    if (notice->trace_id.len > 0) {
        buffer_add_string(scratch, " The message is known there as ");
        notice_line_add(scratch, notice->trace_id, NOTICE_ID_SIZE_MAX, NOTICE_ASCII);
        buffer_add_byte(scratch, '.');
    }
    notice_wrap(text, buffer_bytes(scratch), 0);
}

void notice_words_make(const struct notice *notice, struct notice_part *part)
{
    struct buffer text = BUFFER_EMPTY;
    struct buffer scratch = BUFFER_EMPTY;

    add_opening(&text, notice, &scratch);
    for (int action = 0; action < NOTICE_ACTIONS; action++)
        add_group(&text, notice, (enum notice_action)action, &scratch);
    add_ending(&text, notice, &scratch);
    part->description = "Notification";
    if (notice_is_ascii(buffer_bytes(&text))) {
        part->type = "text/plain; charset=us-ascii";
        part->encoding = NOTICE_7BIT;
        buffer_add(&part->content, buffer_bytes(&text));
    } else {
        part->type = "text/plain; charset=utf-8";
        part->encoding = NOTICE_QUOTED;
        notice_quoted_add(&part->content, buffer_bytes(&text));
    }
    buffer_fini(&scratch);
    buffer_fini(&text);
}
