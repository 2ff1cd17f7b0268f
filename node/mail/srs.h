/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_SRS_H
#define NODE_MAIL_SRS_H

#include "node/mail/path.h"

/*
 * The Sender Rewriting Scheme: a sender that SPF lets pass when mail is forwarded, and the way
 * back for its bounces, with nothing stored.
 *
 *     local@domain                      SRS0=HHHH=TT=domain=local@forwarder
 *     SRS0=rest@first                   SRS1=HHHH=first==rest@forwarder
 *     SRS1=hash=first=rest@second       SRS1=HHHH=first=rest@forwarder
 *
 * HHHH is a keyed hash (HMAC-SHA-256) over what follows it, TT the day, both in base32. Letters
 * are compared without case, since hosts on the way fold it. '+' and '-' behind SRS0 and SRS1
 * are read as '=' is. Every function is pure.
 */
enum {
    /*
     * 20 bits, as all implementations have it: the local part has no room for more. A guess
     * costs a refused RCPT, and what it wins is bounces to one address for some days.
     */
    MAIL_SRS_HASH_SIZE = 4,
    MAIL_SRS_KEY_SIZE_MIN = 16,
    /* The day is counted modulo 1,024: older ones look young again, if their key still exists.
     */
    MAIL_SRS_AGE_DAYS_MAX = 1000,
};

/* Secrets of MAIL_SRS_KEY_SIZE_MIN bytes or more, the newest first: it signs, all verify. At
 * least one. */
struct mail_srs_keys {
    const struct bytes *at;
    size_t count;
};

enum mail_srs {
    MAIL_SRS_OK,
    MAIL_SRS_UNCHANGED, /* rewrite: the null sender, or a sender of the forwarder's domain */
    MAIL_SRS_TOO_LONG,  /* rewrite: no room in 64 bytes of local part; keep the sender */
    MAIL_SRS_NOT_SRS,   /* reverse: an ordinary address */
    MAIL_SRS_FORGED,    /* reverse: no key made this hash, or the address is damaged */
    MAIL_SRS_EXPIRED,   /* reverse: the hash is right, the day too long ago */
};

/* A few words for logs ("expired"). */
const char *mail_srs_text(enum mail_srs result);

/*
 * `sender` as mail_path_parse() gave it, `forwarder` a domain in lower case, `now` in seconds
 * since 1970. `rewritten` is what to send as (MAIL_SRS_OK: a new address in `arena`; else
 * `sender` as it was). A domain that is no plain host name (a literal) goes into the local part
 * as well; the result is then quoted when it is written. A local part with a CR, LF, NUL or
 * other control character cannot come from the parser and is CHECKed.
 */
enum mail_srs mail_srs_rewrite(const struct mail_srs_keys *keys, int64_t now,
                               const struct mail_path *sender, struct bytes forwarder,
                               struct arena *arena, struct mail_path *rewritten);

/* Whether a local part looks like one of ours: a look-up comes here before any mailbox. */
bool mail_srs_is(struct bytes local);

/*
 * Where a bounce to `local` (at the forwarder's domain) has to go. `age_days_max` from 1 to
 * MAIL_SRS_AGE_DAYS_MAX; a day in the future is taken as a clock that is ahead. An SRS1 has no
 * day of its own: the host it goes back to checks it. The address in `sender` lives in `arena`
 * and is a valid mailbox (MAIL_SRS_FORGED otherwise).
 */
enum mail_srs mail_srs_reverse(const struct mail_srs_keys *keys, int64_t now,
                               unsigned age_days_max, struct bytes local, struct arena *arena,
                               struct mail_path *sender);

#endif
