/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/auth/totp.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "node/base/check.h"
#include "storage/auth/secrets.h"

static const uint32_t modulus = 1000000; /* 10^AUTH_TOTP_DIGITS */

uint32_t auth_hotp(struct bytes secret, uint64_t counter)
{
    uint8_t message[8];
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    CHECK(secret.len > 0 && secret.len <= AUTH_TOTP_SECRET_SIZE_MAX);
    for (unsigned i = 0; i < sizeof(message); i++)
        message[i] = (uint8_t)(counter >> (56 - 8 * i));
    CHECK(HMAC(EVP_sha1(), secret.at, (int)secret.len, message, sizeof(message), mac, &len) !=
          NULL);
    CHECK(len == AUTH_SHA1_SIZE);
    const uint8_t *at = mac + (mac[AUTH_SHA1_SIZE - 1] & 15);
    uint32_t value =
        (uint32_t)(at[0] & 127) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return value % modulus;
}

enum auth_totp auth_totp_check(struct bytes secret, struct bytes code, uint64_t now_s,
                               uint64_t last_step, uint64_t *step)
{
    uint64_t now = now_s / AUTH_TOTP_STEP_S;
    uint64_t first = now > AUTH_TOTP_WINDOW ? now - AUTH_TOTP_WINDOW : 0;
    uint32_t typed = 0;
    bool spent = false;
    bool right = false;

    if (code.len != AUTH_TOTP_DIGITS || secret.len < AUTH_TOTP_SECRET_SIZE_MIN ||
        secret.len > AUTH_TOTP_SECRET_SIZE_MAX)
        return AUTH_TOTP_WRONG;
    for (size_t i = 0; i < code.len; i++) {
        if (code.at[i] < '0' || code.at[i] > '9')
            return AUTH_TOTP_WRONG;
        typed = typed * 10 + (uint32_t)(code.at[i] - '0');
    }
    for (uint64_t candidate = first; candidate <= now + AUTH_TOTP_WINDOW; candidate++) {
        bool same = auth_hotp(secret, candidate) == typed;
        if (same && candidate <= last_step) {
            spent = true;
        } else if (same && !right) {
            right = true;
            *step = candidate;
        }
    }
    if (right)
        return AUTH_TOTP_RIGHT;
    return spent ? AUTH_TOTP_SPENT : AUTH_TOTP_WRONG;
}

void auth_totp_secret_text(struct bytes secret, struct buffer *text)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    unsigned bits = 0;
    uint32_t held = 0;

    CHECK(secret.len <= AUTH_TOTP_SECRET_SIZE_MAX);
    for (size_t i = 0; i < secret.len; i++) {
        held = held << 8 | secret.at[i];
        for (bits += 8; bits >= 5; bits -= 5)
            buffer_add_byte(text, (uint8_t)alphabet[held >> (bits - 5) & 31]);
        held &= (1u << bits) - 1;
    }
    if (bits > 0)
        buffer_add_byte(text, (uint8_t)alphabet[held << (5 - bits) & 31]);
}

/* RFC 3986 section 2.1; unreserved characters stand for themselves. */
static void add_percent(struct buffer *uri, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.at[i];
        uint8_t lower = byte_lower(byte);
        bool plain = (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') ||
                     (byte != 0 && memchr("-._~", byte, 4) != NULL);
        if (plain)
            buffer_add_byte(uri, byte);
        else
            buffer_printf(uri, "%%%02X", byte);
    }
}

void auth_totp_uri(struct bytes secret, struct bytes issuer, struct bytes account,
                   struct buffer *uri)
{
    buffer_add_string(uri, "otpauth://totp/");
    add_percent(uri, issuer);
    buffer_add_byte(uri, ':');
    add_percent(uri, account);
    buffer_add_string(uri, "?secret=");
    auth_totp_secret_text(secret, uri);
    buffer_add_string(uri, "&issuer=");
    add_percent(uri, issuer);
    buffer_printf(uri, "&algorithm=SHA1&digits=%d&period=%d", AUTH_TOTP_DIGITS,
                  AUTH_TOTP_STEP_S);
}
