/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_CLIENT_LIMITS_H
#define SMTP_RELAY_CLIENT_LIMITS_H

/* Every size that a server chooses has a row here; what is over it ends the connection, or is
 * not kept. Nothing else of a server's grows in memory. */
enum {
    /* A line of a reply with its end. RFC 5321 section 4.5.3.1.5 says 512; real ones go over.
     */
    SMTP_CLIENT_LINE_SIZE_MAX = 2048,
    SMTP_CLIENT_LINES_MAX = 100, /* of one reply */
    /* Of a reply, kept for its text before it is cleaned. */
    SMTP_CLIENT_REPLY_KEPT_MAX = 2048,
    /* Lines of EHLO that are looked at; further ones are read over. */
    SMTP_CLIENT_EXTENSIONS_MAX = 64,

    /* Of our own side: an address with its quotes, a value of ENVID or ORCPT as it is sent
     * (RFC 3461 section 5.4). */
    SMTP_CLIENT_ADDRESS_SIZE_MAX = 512,
    SMTP_CLIENT_ENVID_SIZE_MAX = 100,
    SMTP_CLIENT_ORCPT_SIZE_MAX = 500,
    SMTP_CLIENT_HELLO_SIZE_MAX = 255,
    SMTP_CLIENT_BY_SECONDS_MAX = 999999999,

    SMTP_CLIENT_CHUNK_SIZE = 64 * 1024, /* of one BDAT */
};

#endif
