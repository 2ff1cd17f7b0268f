/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "node/base/check.h"
#include "storage/auth/auth_internal.h"

/* Strongest first: clients that take the first one they know take the best. */
static const struct auth_mechanism_row rows[] = {
    {AUTH_SCRAM_SHA_256_PLUS, "SCRAM-SHA-256-PLUS", scram_step, scram_user, ""},
    {AUTH_SCRAM_SHA_256, "SCRAM-SHA-256", scram_step, scram_user, ""},
    {AUTH_SCRAM_SHA_1_PLUS, "SCRAM-SHA-1-PLUS", scram_step, scram_user, ""},
    {AUTH_SCRAM_SHA_1, "SCRAM-SHA-1", scram_step, scram_user, ""},
    {AUTH_OAUTHBEARER, "OAUTHBEARER", oauthbearer_step, oauthbearer_user, ""},
    {AUTH_PLAIN, "PLAIN", plain_step, password_user, ""},
    {AUTH_LOGIN, "LOGIN", login_step, password_user, "Username:"},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))
_Static_assert(ROWS == AUTH_MECHANISM_COUNT - 1, "a row for each mechanism");

const struct auth_mechanism_row *auth_mechanism_row(enum auth_mechanism mechanism)
{
    const struct auth_mechanism_row *found = NULL;

    for (size_t i = 0; i < ROWS && found == NULL; i++)
        if (rows[i].mechanism == mechanism)
            found = &rows[i];
    CHECK(found != NULL);
    return found;
}

enum auth_mechanism auth_mechanism_find(struct bytes name, unsigned offered)
{
    for (size_t i = 0; i < ROWS; i++)
        if ((offered & AUTH_OFFER(rows[i].mechanism)) != 0 &&
            bytes_equal_nocase(name, bytes_of(rows[i].name)))
            return rows[i].mechanism;
    return AUTH_MECHANISM_NONE;
}

const char *auth_mechanism_name(enum auth_mechanism mechanism)
{
    return auth_mechanism_row(mechanism)->name;
}

void auth_mechanism_list(unsigned offered, char text[AUTH_OFFER_TEXT_SIZE])
{
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < ROWS; i++) {
        if ((offered & AUTH_OFFER(rows[i].mechanism)) == 0)
            continue;
        int added = snprintf(text + len, AUTH_OFFER_TEXT_SIZE - len, "%s%s", len > 0 ? " " : "",
                             rows[i].name);
        CHECK(added > 0 && len + (size_t)added < AUTH_OFFER_TEXT_SIZE);
        len += (size_t)added;
    }
}
