/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_AUTH_TOTP_H
#define STORAGE_AUTH_TOTP_H

#include "node/base/buffer.h"

/* One-time passwords of six digits by the clock (RFC 6238 over HMAC-SHA-1, steps of 30 s). */
enum {
    AUTH_TOTP_SECRET_SIZE =
        20, /* of new secrets (RFC 4226 section 4 R6); made of random bytes */
    AUTH_TOTP_SECRET_SIZE_MIN = 16,
    AUTH_TOTP_SECRET_SIZE_MAX = 64,
    AUTH_TOTP_DIGITS = 6,
    AUTH_TOTP_STEP_S = 30,
    AUTH_TOTP_WINDOW = 1, /* steps before and after the present one that count */
};

enum auth_totp { AUTH_TOTP_RIGHT, AUTH_TOTP_WRONG, AUTH_TOTP_SPENT };

/* The counter value's code (RFC 4226 section 5.3), 0 to 999999. */
uint32_t auth_hotp(struct bytes secret, uint64_t counter);

/*
 * `code` has to be six digits. `last_step` is the last one used; it and earlier ones are spent.
 * RIGHT gives the step, which the caller records before anybody is let in. `step` is written
 * only then.
 */
enum auth_totp auth_totp_check(struct bytes secret, struct bytes code, uint64_t now_s,
                               uint64_t last_step, uint64_t *step);

/* Base32 without padding, for those who type it. */
void auth_totp_secret_text(struct bytes secret, struct buffer *text);

/* otpauth://totp/ISSUER:ACCOUNT?secret=...&issuer=ISSUER&algorithm=SHA1&digits=6&period=30 for
 * a QR code. */
void auth_totp_uri(struct bytes secret, struct bytes issuer, struct bytes account,
                   struct buffer *uri);

#endif
