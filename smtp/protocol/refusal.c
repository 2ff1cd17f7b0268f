/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "smtp/protocol/session_state.h"

/* Refusals in the driver's own words. What they say may come from DNS, from a tenant or from a
 * filter: it leaves as one line of printable ASCII. */

/* "5.7.1": of the class of the reply (RFC 2034 section 4). */
static bool enhanced_fits(const char *enhanced, unsigned code)
{
    unsigned dots = 0;

    if (enhanced == NULL || enhanced[0] != (char)('0' + code / 100) || enhanced[1] != '.')
        return false;
    for (const char *at = enhanced; *at != '\0'; at++) {
        if (*at != '.' && (*at < '0' || *at > '9'))
            return false;
        dots += *at == '.';
    }
    return dots == 2 && strlen(enhanced) <= SMTP_ENHANCED_SIZE_MAX;
}

void smtp_refusal_write(const struct smtp_refusal *refusal, const char *trace,
                        struct buffer *output)
{
    const char *text =
        refusal->text != NULL && refusal->text[0] != '\0' ? refusal->text : "Refused";

    CHECK(refusal->code >= 400 && refusal->code <= 599);
    buffer_printf(output, "%u ", refusal->code);
    if (enhanced_fits(refusal->enhanced, refusal->code))
        buffer_printf(output, "%s ", refusal->enhanced);
    for (size_t i = 0; text[i] != '\0' && i < SMTP_REFUSAL_TEXT_MAX; i++)
        buffer_add_byte(output, text[i] >= ' ' && text[i] <= '~' ? (uint8_t)text[i] : '?');
    if (trace[0] != '\0')
        buffer_printf(output, " id=%s", trace);
    buffer_add_string(output, "\r\n");
}

struct smtp_verdict smtp_refusal_verdict(const struct smtp_refusal *refusal, const char *trace,
                                         struct buffer *line)
{
    enum { GOING = 421 }; /* which says that the connection ends (RFC 5321 section 4.2.2) */
    struct smtp_verdict verdict = {.reply = SMTP_REPLY_OK};

    smtp_refusal_write(refusal, trace, line);
    verdict.line = buffer_bytes(line);
    if (refusal->close || refusal->code == GOING)
        verdict.flags |= SMTP_REPLY_CLOSE;
    if (refusal->code >= 500)
        verdict.flags |= SMTP_REPLY_ERROR;
    return verdict;
}

void smtp_refusal_tell(const struct smtp_session *session, enum smtp_refused_what what,
                       struct bytes address, const struct smtp_verdict *verdict)
{
    struct buffer line = BUFFER_EMPTY;

    if (session->refused == NULL)
        return;
    smtp_verdict_write(session, verdict, &line);
    const struct smtp_refused refused = {
        .what = what,
        .address =
            bytes_from(address.at, address.len < SMTP_REFUSED_SIZE_MAX ? address.len
                                                                       : SMTP_REFUSED_SIZE_MAX),
        .line = buffer_bytes(&line),
    };
    session->refused(session->refused_context, &refused);
    buffer_fini(&line);
}
