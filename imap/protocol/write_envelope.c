/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/protocol/write.h"

/* NIL as mailbox or host would mean a group (RFC 3501 section 7.4.2): what is missing is empty.
 */
static struct bytes never_nil(struct bytes text)
{
    return text.at != NULL ? text : BYTES("");
}

static void write_address(struct buffer *out, const struct mail_address *address)
{
    struct bytes nil = {NULL, 0};

    buffer_add_byte(out, '(');
    switch (address->group) {
    case MAIL_ADDRESS_GROUP_START:
        buffer_add_string(out, "NIL NIL ");
        imap_write_string(out, never_nil(address->local));
        buffer_add_string(out, " NIL");
        break;
    case MAIL_ADDRESS_GROUP_END:
        buffer_add_string(out, "NIL NIL NIL NIL");
        break;
    case MAIL_ADDRESS_PLAIN:
        imap_write_nstring(out, address->name.len > 0 ? address->name : nil);
        buffer_add_byte(out, ' ');
        imap_write_nstring(out, address->route.len > 0 ? address->route : nil);
        buffer_add_byte(out, ' ');
        imap_write_string(out, never_nil(address->local));
        buffer_add_byte(out, ' ');
        imap_write_string(out, never_nil(address->domain));
        break;
    }
    buffer_add_byte(out, ')');
}

static void write_list(struct buffer *out, const struct mail_address_list *list)
{
    if (list->count == 0) {
        buffer_add_string(out, "NIL");
        return;
    }
    buffer_add_byte(out, '(');
    for (size_t i = 0; i < list->count; i++)
        write_address(out, &list->at[i]);
    buffer_add_byte(out, ')');
}

void imap_write_envelope(struct buffer *out, const struct mail_envelope *envelope)
{
    const struct mail_address_list *from = &envelope->from;
    const struct mail_address_list *lists[] = {
        from,
        envelope->sender.count > 0 ? &envelope->sender : from,
        envelope->reply_to.count > 0 ? &envelope->reply_to : from,
        &envelope->to,
        &envelope->cc,
        &envelope->bcc,
    };

    buffer_add_byte(out, '(');
    imap_write_nstring(out, envelope->date);
    buffer_add_byte(out, ' ');
    imap_write_nstring(out, envelope->subject);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        buffer_add_byte(out, ' ');
        write_list(out, lists[i]);
    }
    buffer_add_byte(out, ' ');
    imap_write_nstring(out, envelope->in_reply_to);
    buffer_add_byte(out, ' ');
    imap_write_nstring(out, envelope->message_id);
    buffer_add_byte(out, ')');
}
