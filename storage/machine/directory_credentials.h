/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_DIRECTORY_CREDENTIALS_H
#define STORAGE_MACHINE_DIRECTORY_CREDENTIALS_H

#include "storage/machine/directory_rows.h"

/* How accounts prove who they are, from format 4 on. */
enum {
    APP_PASSWORDS_MAX = 32, /* of an account: each exchange works through all of them */
    APP_PASSWORD_NAME_SIZE_MAX = 64,
    APP_PASSWORD_DIGEST_SIZE = 32,
    APP_PASSWORD_SCOPES = 3, /* IMAP, submission */
    SCRAM_SALT_SIZE = 16,
    SCRAM_ITERATIONS_MIN = 4096, /* RFC 7677 section 4 */
    SCRAM_ITERATIONS_MAX = 1000000,
    SCRAM_SHA1_SIZE = 20,
    SCRAM_SHA256_SIZE = 32,
    TOTP_SECRET_SIZE_MIN = 16, /* RFC 4226 section 4, R6 */
    TOTP_SECRET_SIZE_MAX = 64,
};

/* The account has another password: what was made of the old one does not count any more. */
void directory_password_changed(struct apply *apply, Pr__AccountRecord *account);

#endif
