/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/date.h"
#include "smtp/relay/notice_internal.h"

/* message/delivery-status (RFC 3464 section 2), message/global-delivery-status (RFC 6533). */

/* Fields under way. */
struct fields {
    struct buffer *text;
    enum notice_charset charset; /* NOTICE_UTF8: of the global type */
    struct buffer value;         /* scratch */
};

static const struct {
    const char *name;
    const char *classes; /* that its status may have */
    const char *unknown; /* RFC 3463: no more is known */
} actions[NOTICE_ACTIONS] = {
    [NOTICE_FAILED] = {"failed", "54", "5.0.0"},
    [NOTICE_DELAYED] = {"delayed", "4", "4.0.0"},
    [NOTICE_RELAYED] = {"relayed", "2", "2.0.0"},
    [NOTICE_DELIVERED] = {"delivered", "2", "2.0.0"},
    [NOTICE_EXPANDED] = {"expanded", "2", "2.0.0"},
};

/* 1 to 3 digits without a leading zero, cut off `rest`. */
static bool take_number(struct bytes *rest)
{
    size_t len = 0;

    while (len < rest->len && rest->at[len] >= '0' && rest->at[len] <= '9')
        len++;
    bool fine = len >= 1 && len <= 3 && (len == 1 || rest->at[0] != '0');
    *rest = bytes_skip(*rest, len);
    return fine;
}

static bool take_dot(struct bytes *rest)
{
    bool fine = rest->len > 0 && rest->at[0] == '.';

    *rest = bytes_skip(*rest, 1);
    return fine;
}

struct bytes notice_status(const struct notice_recipient *recipient)
{
    struct bytes rest = bytes_skip(recipient->status, 1);
    bool fine = recipient->status.len > 0 && recipient->status.at[0] != '\0' &&
                strchr(actions[recipient->action].classes, recipient->status.at[0]) != NULL;

    if (fine && take_dot(&rest) && take_number(&rest) && take_dot(&rest) &&
        take_number(&rest) && rest.len == 0)
        return recipient->status;
    return bytes_of(actions[recipient->action].unknown);
}

void notice_date_add(struct buffer *text, int64_t seconds)
{
    char date[MAIL_DATE_TEXT_SIZE];

    mail_date_format((struct mail_date){.seconds = seconds}, date);
    buffer_add_string(text, date);
}

/* Starts the scratch with what stands before the text. */
static struct buffer *begin(struct fields *fields, const char *type)
{
    buffer_clear(&fields->value);
    buffer_add_string(&fields->value, type);
    return &fields->value;
}

static void end(struct fields *fields, const char *name)
{
    notice_field_add(fields->text, name, buffer_bytes(&fields->value));
}

static void add_date(struct fields *fields, const char *name, int64_t seconds)
{
    if (seconds == 0)
        return;
    notice_date_add(begin(fields, ""), seconds);
    end(fields, name);
}

static void add_utf8_address(struct fields *fields, struct bytes address)
{
    if (fields->charset == NOTICE_UTF8)
        notice_text_add(&fields->value, address, NOTICE_ADDRESS_SIZE_MAX, NOTICE_UTF8);
    else
        notice_unitext_add(&fields->value, address, NOTICE_ADDRESS_SIZE_MAX);
}

static bool is_atom(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.at[i];
        if (byte <= ' ' || byte >= 127 || strchr("()<>@,;:\\\".[]", byte) != NULL)
            return false;
    }
    return text.len > 0 && text.len <= NOTICE_LINE_SIZE / 2;
}

static void add_original(struct fields *fields, struct bytes orcpt)
{
    size_t len = bytes_find(orcpt, ';');
    struct bytes type = {orcpt.at, len};
    struct bytes address = bytes_skip(orcpt, len + 1);

    if (orcpt.len == 0)
        return;
    if (len == orcpt.len || !is_atom(type)) { /* nothing that RCPT would take */
        type = BYTES("unknown");
        address = orcpt;
    }
    notice_text_add(begin(fields, ""), type, NOTICE_LINE_SIZE, NOTICE_ASCII);
    buffer_add_byte(&fields->value, ';');
    if (bytes_equal_nocase(type, BYTES("utf-8")))
        add_utf8_address(fields, address);
    else
        notice_text_add(&fields->value, address, NOTICE_ADDRESS_SIZE_MAX, NOTICE_ASCII);
    end(fields, "Original-Recipient");
}

static void add_final(struct fields *fields, struct bytes address)
{
    if (notice_is_ascii(address) || !notice_is_utf8(address)) {
        notice_text_add(begin(fields, "rfc822; "), address, NOTICE_ADDRESS_SIZE_MAX,
                        NOTICE_ASCII);
    } else {
        begin(fields, "utf-8; ");
        add_utf8_address(fields, address);
    }
    end(fields, "Final-Recipient");
}

/* Its name alone: the address in brackets behind it is no part of an MTA's name of type dns. */
static void add_remote(struct fields *fields, struct bytes remote)
{
    if (remote.len == 0)
        return;
    notice_line_add(begin(fields, "dns; "), bytes_take_word(&remote), NOTICE_ADDRESS_SIZE_MAX,
                    NOTICE_ASCII);
    end(fields, "Remote-MTA");
}

static bool is_reply(struct bytes text)
{
    for (size_t i = 0; i < 3; i++)
        if (i >= text.len || text.at[i] < '0' || text.at[i] > '9')
            return false;
    return text.len == 3 || text.at[3] == ' ' || text.at[3] == '-';
}

static void add_diagnostic(struct fields *fields, const struct notice_recipient *recipient)
{
    bool said = recipient->remote.len > 0 && is_reply(recipient->diagnostic);

    if (recipient->diagnostic.len == 0)
        return;
    notice_line_add(begin(fields, said ? "smtp; " : "x-postraft; "), recipient->diagnostic,
                    NOTICE_DIAGNOSTIC_SIZE_MAX, fields->charset);
    end(fields, "Diagnostic-Code");
}

static void add_recipient(struct fields *fields, const struct notice_recipient *recipient)
{
    buffer_add_string(fields->text, "\r\n");
    add_original(fields, recipient->orcpt);
    add_final(fields, recipient->address);
    buffer_printf(fields->text, "Action: %s\r\n", actions[recipient->action].name);
    notice_field_add(fields->text, "Status", notice_status(recipient));
    add_remote(fields, recipient->remote);
    add_diagnostic(fields, recipient);
    add_date(fields, "Last-Attempt-Date", recipient->tried_s);
    if (recipient->action == NOTICE_DELAYED)
        add_date(fields, "Will-Retry-Until", recipient->retry_until_s);
}

static void write_status(const struct notice *notice, enum notice_charset charset,
                         struct buffer *text)
{
    struct fields fields = {text, charset, BUFFER_EMPTY};

    if (notice->envid.len > 0) {
        notice_text_add(begin(&fields, ""), notice->envid, NOTICE_ENVID_SIZE_MAX, NOTICE_ASCII);
        end(&fields, "Original-Envelope-Id");
    }
    notice_line_add(begin(&fields, "dns; "), notice->hostname, NOTICE_ADDRESS_SIZE_MAX,
                    NOTICE_ASCII);
    end(&fields, "Reporting-MTA");
    add_date(&fields, "Arrival-Date", notice->arrival_s);
    add_date(&fields, "Deliver-By-Date", notice->deliver_by_s); /* RFC 2852 section 5 */
    for (size_t i = 0; i < notice->recipient_count; i++)
        add_recipient(&fields, &notice->recipients[i]);
    buffer_fini(&fields.value);
}

void notice_status_make(const struct notice *notice, bool utf8_passes, struct notice_part *part)
{
    struct buffer text = BUFFER_EMPTY;

    part->description = "Delivery report";
    if (notice->utf8)
        write_status(notice, NOTICE_UTF8, &text);
    if (!notice->utf8 || notice_is_ascii(buffer_bytes(&text))) {
        /* Seven bits are enough; addresses of type utf-8 have another form then. */
        part->type = "message/delivery-status";
        part->encoding = NOTICE_7BIT;
        write_status(notice, NOTICE_ASCII, &part->content);
    } else {
        part->type = "message/global-delivery-status";
        /* RFC 6533 section 4.5: nobody knows that the way back knows SMTPUTF8. */
        part->encoding = utf8_passes ? NOTICE_8BIT : NOTICE_QUOTED;
        if (utf8_passes)
            buffer_add(&part->content, buffer_bytes(&text));
        else
            notice_quoted_add(&part->content, buffer_bytes(&text));
    }
    buffer_fini(&text);
}
