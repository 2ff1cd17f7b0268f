/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sodium.h>

#include "node/base/check.h"
#include "storage/auth/secrets.h"

/* Five bits a letter; nothing that looks like something else in the fonts of phones. */
static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
_Static_assert(sizeof(alphabet) == 32 + 1, "five bits");

enum { GROUP = 4, LETTERS = AUTH_APP_RANDOM_SIZE };
_Static_assert(LETTERS * 5 >= 100, "bits of an app password");
_Static_assert(LETTERS + LETTERS / GROUP == AUTH_APP_TEXT_SIZE, "hyphens and the NUL");

void auth_app_password_make(const uint8_t random[AUTH_APP_RANDOM_SIZE],
                            char text[AUTH_APP_TEXT_SIZE])
{
    size_t len = 0;

    for (size_t i = 0; i < LETTERS; i++) {
        if (i > 0 && i % GROUP == 0)
            text[len++] = '-';
        text[len++] = alphabet[random[i] & 31];
    }
    text[len] = '\0';
    CHECK(len + 1 == AUTH_APP_TEXT_SIZE);
}

bool auth_app_password_digest(struct bytes typed, uint8_t digest[AUTH_DIGEST_SIZE])
{
    static const char domain[] = "app password";
    uint8_t letters[LETTERS] = {0};
    size_t count = 0;
    bool form = typed.len <= AUTH_PASSWORD_SIZE_MAX;
    crypto_generichash_state state;

    CHECK(sodium_init() >= 0);
    for (size_t i = 0; i < typed.len && form; i++) {
        uint8_t letter = byte_lower(typed.at[i]);
        if (letter == '-' || letter == ' ')
            continue;
        form = count < LETTERS && letter != 0 && strchr(alphabet, letter) != NULL;
        if (form)
            letters[count++] = letter;
    }
    form = form && count == LETTERS;
    crypto_generichash_init(&state, NULL, 0, AUTH_DIGEST_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)domain, sizeof(domain));
    crypto_generichash_update(&state, letters, sizeof(letters));
    crypto_generichash_final(&state, digest, AUTH_DIGEST_SIZE);
    sodium_memzero(letters, sizeof(letters));
    if (!form)
        memset(digest, 255, AUTH_DIGEST_SIZE);
    return form;
}
