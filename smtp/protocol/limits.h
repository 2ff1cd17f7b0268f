/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_PROTOCOL_LIMITS_H
#define SMTP_PROTOCOL_LIMITS_H

#include <stdint.h>

/*
 * Every size that a client chooses has a row here, or is a member of struct smtp_config. What
 * is over a limit is refused with a reply; memory never grows with it.
 */
enum {
    /* RFC 5321 section 4.5.3.1.4, CRLF included. */
    SMTP_COMMAND_SIZE_MAX = 512,
    /* MAIL and RCPT: the extensions each allow some more; this is more than all of them. */
    SMTP_COMMAND_PARAMETERS_SIZE_MAX = 2048,
    /* A line that is longer is read over up to here, then the connection is closed. */
    SMTP_COMMAND_DISCARD_MAX = 64 * 1024,

    /* RFC 5321 section 4.5.3.1.2; an address literal is shorter. */
    SMTP_HELO_SIZE_MAX = 255,

    /* Recipients being looked up at a time in one session; further ones wait in the socket. */
    SMTP_LOOKUPS_MAX = 32,

    /* Recipients of one transaction that were looked up in vain; then 452 without a look-up. */
    SMTP_RCPT_REFUSED_MAX = 1000,

    /* Of one BODY action. */
    SMTP_BODY_PIECE_MAX = 64 * 1024,
    /* Replies waiting for next(); beyond it feed() takes nothing. */
    SMTP_OUTPUT_MAX = 16 * 1024,

    /*
     * The header of a message. Far beyond real mail (a mailing list's longest To has some
     * thousand lines), and as much as is looked into when the message is summed up.
     */
    SMTP_HEADER_SIZE_MAX = 256 * 1024,
    SMTP_HEADER_LINES_MAX = 5000,
    /* Received fields: RFC 5321 section 6.3 asks for at least 100 to be let through by a relay
     * that counts nothing else; mail that is delivered here has seen no 50 hosts. */
    SMTP_RECEIVED_MAX = 50,

    /*
     * Default of smtp_config.data_line_size_max, CRLF included. RFC 5321 section 4.5.3.1.6 says
     * 1,000, but newsletters and reports written by programs carry their whole HTML in one line
     * of tens of kilobytes, and hosts that mail is moved here from have always taken them. A
     * long line costs this engine no memory; the limit is for the readers.
     */
    SMTP_DATA_LINE_SIZE_MAX = 64 * 1024,

    /* Refusals since the last accepted message, then 421. */
    SMTP_ERRORS_MAX = 20,

    /* Values of parameters, encoded: RFC 3461 section 5.4, RFC 4954 section 3. */
    SMTP_ENVID_SIZE_MAX = 100,
    SMTP_ORCPT_SIZE_MAX = 500,
    SMTP_AUTH_IDENTITY_SIZE_MAX = 500,

    /* AUTH and its lines, CRLF included: RFC 4954 section 4. */
    SMTP_AUTH_LINE_SIZE_MAX = 12288,
    /* Of a challenge; base64 makes it a third longer. */
    SMTP_AUTH_BYTES_MAX = 8192,
    SMTP_LOGIN_SIZE_MAX = 512,
    /* Refused log-ins of a connection, then 421: default of smtp_config.auth_failures_max. */
    SMTP_AUTH_FAILURES_MAX = 3,

    /* Of a refusal in the driver's words; with code and trace id it stays under the 512 bytes
     * of RFC 5321 section 4.5.3.1.5. */
    SMTP_REFUSAL_TEXT_MAX = 400,
    SMTP_ENHANCED_SIZE_MAX = 11,

    /* Of an address that could not be read, for the log. */
    SMTP_REFUSED_SIZE_MAX = 320,

    SMTP_TRACE_ID_SIZE_MAX = 48,
};

/* Of one BDAT, in bytes. What is more than SIZE is read and thrown away; this is no size but an
 * attempt to overflow one. */
#define SMTP_CHUNK_SIZE_MAX (UINT64_C(1) << 40)

#endif
