/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_AUTH_PASSWORD_STRENGTH_H
#define STORAGE_AUTH_PASSWORD_STRENGTH_H

#include "node/base/bytes.h"
#include "node/base/err.h"
#include "storage/auth/secrets.h"

/*
 * Which passwords are good enough. No rule about digits and symbols, no forced change: length,
 * not the user's own names, not guessable (zxcvbn), not known from a breach. A call takes a few
 * milliseconds and reads a file: pool thread.
 */
struct password_breached;

/*
 * The published lists: lines of "SHA1", or "SHA1:COUNT", in hexadecimal of either case, sorted,
 * all digests of one length: 40 digits, or 12 and more of their beginning. Lines end with LF or
 * CR LF. Searched in place: a look-up reads the file O(log n) times, nothing is kept.
 * ERR_NOTFOUND, ERR_IO; ERR_MALFORMED for a file whose first and last line have not this form.
 * Any number of threads may look up at the same time.
 */
enum err password_breached_open(const char *path,
                                struct password_breached **breached) MUST_CHECK;
void password_breached_close(struct password_breached **breached);
/* ERR_OK: it is in the list. ERR_NOTFOUND. ERR_IO or ERR_MALFORMED: nothing is known. */
enum err password_breached_find(const struct password_breached *breached,
                                struct bytes password) MUST_CHECK;

enum {
    PASSWORD_CHARACTERS_MIN = 12, /* the default */
    PASSWORD_SCORE_MIN = 3, /* the default; zxcvbn's 0 to 4: 10^3, 10^6, 10^8, 10^10 guesses */
    PASSWORD_WHY_SIZE = 256,
};

struct password_rule {
    unsigned characters_min;                  /* code points */
    unsigned score_min;                       /* 0: not asked */
    const struct password_breached *breached; /* NULL: not asked */
};

/* Whose it is going to be; any may be empty. */
struct password_owner {
    struct bytes address; /* local part and domain are taken from it */
    struct bytes tenant;
};

enum password_verdict {
    PASSWORD_GOOD,
    PASSWORD_NOT_TEXT, /* not UTF-8, or with control characters */
    PASSWORD_SHORT,
    PASSWORD_LONG,
    PASSWORD_OWN_NAME,
    PASSWORD_GUESSABLE,
    PASSWORD_BREACHED,
};

/*
 * `why` gets a sentence for the user when it is not GOOD; it does not repeat the password. A
 * list that cannot be read refuses nobody; `list` tells of it (ERR_OK, ERR_IO, ERR_MALFORMED)
 * for the log, and may be NULL.
 */
enum password_verdict password_strength_check(const struct password_rule *rule,
                                              const struct password_owner *owner,
                                              struct bytes password,
                                              char why[PASSWORD_WHY_SIZE], enum err *list);

#endif
