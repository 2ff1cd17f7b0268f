/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_NOTICE_H
#define SMTP_RELAY_NOTICE_H

#include "node/base/buffer.h"
#include "smtp/protocol/session.h"

/*
 * Delivery status notifications (RFC 3461, 3464, 6522, 6533; RFC 2852 where BY was said): when
 * one is owed, and the message itself. Pure: no clock, no random source, no store.
 *
 * All text that others chose (replies, addresses, ORCPT, ENVID, the original) may be hostile.
 * None of it gets out of the field or part that it is put into: what it may hold is decided in
 * notice_text.c alone. Texts longer than the limits below are cut.
 */

/* What a notice says of a recipient: Action (RFC 3464 section 2.3.3). */
enum notice_action {
    NOTICE_FAILED,
    NOTICE_DELAYED,
    NOTICE_RELAYED,
    NOTICE_DELIVERED,
    NOTICE_EXPANDED,
    NOTICE_ACTIONS,
};

/* What became of a recipient. */
enum notice_event {
    NOTICE_EVENT_FAILED,    /* given up */
    NOTICE_EVENT_DELAYED,   /* retry_delay_due() */
    NOTICE_EVENT_TAKEN,     /* by a host that offers DSN: it tells the sender itself */
    NOTICE_EVENT_RELAYED,   /* by a host that does not */
    NOTICE_EVENT_DELIVERED, /* into a mailbox here */
    NOTICE_EVENT_EXPANDED,  /* to several addresses, by an alias here */
    NOTICE_EVENT_BY_LOST,   /* taken; RETRY_BY_RELAYED: the host does not offer DELIVERBY */
    NOTICE_EVENT_BY_TRACED, /* taken; BY had the trace modifier (T) */
};

/*
 * Whether the sender is to be told (RFC 3461 sections 4.1, 5.2; RFC 2852 section 4.1.4).
 * `notify`: SMTP_NOTIFY_* joined, 0 when it was not said, which means FAILURE and DELAY here.
 * `null_sender`: notice_sender_deaf(), nobody is ever told. `action`: what the notice says; set
 * when one is owed. Several events can be true of a recipient that was taken: ask for each, one
 * notice is enough.
 */
bool notice_owed(unsigned notify, enum notice_event event, bool null_sender,
                 enum notice_action *action);

/* Nobody is to be told of mail from there: the null sender, and a MAILER-DAEMON@ anywhere, who
 * would be told by a program, for ever. */
bool notice_sender_deaf(struct bytes sender);

enum {
    NOTICE_RECIPIENTS_MAX = 1000,
    NOTICE_ADDRESS_SIZE_MAX = 500,     /* of an address, a remote host, an ORCPT */
    NOTICE_ENVID_SIZE_MAX = 100,       /* SMTP_ENVID_SIZE_MAX */
    NOTICE_DIAGNOSTIC_SIZE_MAX = 2000, /* of a reply */
    NOTICE_HEADER_SIZE_MAX = 64 * 1024,
    NOTICE_BODY_SIZE_MAX = 50 * 1000, /* of a whole message that is returned */
    NOTICE_ID_SIZE_MAX = 80,
};

/* All borrowed. Times are seconds since 1970; 0: not to be said. */
struct notice_recipient {
    struct bytes address; /* "local@domain" of the envelope, as written */
    struct bytes orcpt;   /* "type;address", decoded; empty: none was given */
    enum notice_action action;
    struct bytes status; /* "5.1.1"; empty, malformed, or of a class that the action cannot
                            have: X.0.0 */
    struct bytes remote; /* who said it: "mx.example [192.0.2.1]"; empty: nobody was reached */
    struct bytes diagnostic; /* the reply, lines parted by LF or CRLF; or, with no remote, why
                                nobody was reached, in words for the sender */
    int64_t tried_s;
    int64_t retry_until_s; /* only said of a delay */
};

struct notice {
    struct bytes id;       /* unique for ever: 1 to NOTICE_ID_SIZE_MAX letters, digits, "-"
                              and "_"; CHECKed. Same id, same notice: same bytes */
    struct bytes hostname; /* this host's public name; mail_domain_valid() */
    struct bytes postmaster_domain; /* of MAILER-DAEMON@ and postmaster@; empty: hostname */
    struct bytes trace_id;          /* of the original in our log; empty: not to be said */
    int64_t now_s;
    int64_t arrival_s;
    int64_t deliver_by_s; /* BY of the original */
    struct bytes sender;  /* whom it goes to, "local@domain"; never empty, CHECKed */
    struct bytes envid;   /* decoded; empty: none was given */
    enum smtp_return ret;
    bool utf8; /* the original needed SMTPUTF8: types of RFC 6533 where they are needed */
    const struct notice_recipient *recipients; /* 1 to NOTICE_RECIPIENTS_MAX, CHECKed */
    size_t recipient_count;
    struct bytes header; /* of the original: up to its first empty line, or the start of it;
                            empty: could not be had, the notice has two parts */
    bool header_whole;   /* it was not cut */
    struct bytes body; /* of the original, behind the empty line; looked at when `body_whole` */
    bool body_whole;   /* all of it is there */
};

/* What it takes to pass a notice on; joined. */
enum notice_need {
    NOTICE_NEEDS_8BIT = 1 << 0, /* BODY=8BITMIME */
    NOTICE_NEEDS_UTF8 = 1 << 1, /* SMTPUTF8: its own header is not ASCII */
};

/*
 * Whether notice_make() would return the whole message if it had it: RET=FULL, a failure, and
 * at most NOTICE_BODY_SIZE_MAX. `size`: of the message, header and body. So a body is fetched
 * only where it is of use.
 */
bool notice_wants_body(enum smtp_return ret, bool has_failed, uint64_t size);

/*
 * Appends the message, lines ended by CRLF; returns enum notice_need, joined. It is sent with
 * the null sender, to `sender` alone, without RET, NOTIFY=NEVER (RFC 3461 section 6.1).
 *
 * No line has more than 998 bytes without its CRLF, and no CR or LF is alone, whatever came in.
 * A whole message that cannot be returned as it stands (lines too long, bare CR, NUL) is
 * returned as its header.
 */
unsigned notice_make(const struct notice *notice, struct buffer *message);

#endif
