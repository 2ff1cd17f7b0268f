/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_AUTH_AUTH_LAB_H
#define TESTS_UNIT_STORAGE_AUTH_AUTH_LAB_H

#include "node/base/buffer.h"
#include "storage/auth/auth.h"

/*
 * One account, "user@example.com" with a password and three app passwords, and whoever answers
 * what an exchange asks. The slow hash is stood in for by the password itself behind "hash:".
 */
#define LAB_NAME "user@example.com"
#define LAB_PASSWORD "correct horse battery"
#define LAB_NOW 1790000000u
#define LAB_EXPORTER "0123456789abcdef0123456789abcdef"
#define LAB_END_POINT "fedcba9876543210fedcba9876543210"
enum { LAB_APPS = 3, LAB_ITERATIONS = 4096 };

struct auth_lab {
    struct auth_config config;
    struct auth_channel channel;
    struct auth_secrets secrets;
    struct auth_app_password apps[LAB_APPS]; /* ids 11, 12, 13; for all, IMAP, submission */
    char app_texts[LAB_APPS][AUTH_APP_TEXT_SIZE];
    uint64_t now_s;
    unsigned hashes;      /* how many passwords were checked */
    struct bytes said[8]; /* what the client said, in auth_lab_client(); kept in `saids` */
    size_t said_count;
    struct buffer saids[8];
};

void auth_lab_init(struct auth_lab *lab);
void auth_lab_fini(struct auth_lab *lab);
/* Turns TOTP on, with a secret of twenty times `byte`. */
void auth_lab_totp(struct auth_lab *lab, uint8_t byte);

/* Answers look-ups and password checks until the exchange wants a message or is over. Only
 * LAB_NAME, byte for byte, is known. */
enum auth_next auth_lab_answer(struct auth_lab *lab, struct auth_exchange *exchange,
                               enum auth_next next);
enum auth_next auth_lab_step(struct auth_lab *lab, struct auth_exchange *exchange,
                             struct bytes message);
struct auth_exchange *auth_lab_new(struct auth_lab *lab, enum auth_mechanism mechanism);

/* One message in, and the exchange that has it. */
struct auth_exchange *auth_lab_say(struct auth_lab *lab, enum auth_mechanism mechanism,
                                   struct bytes message, enum auth_next *next);

/* authzid NUL name NUL password; at most 2 KiB, valid until the next call. */
struct bytes auth_lab_plain(const char *authzid, const char *name, const char *password);

/*
 * A whole log-in by libgsasl's client. `exporter` is what it believes of the channel (NULL: it
 * cannot bind). Whoever calls takes the exchange. What the client said stays in lab->said.
 * `server_believed`: the client has checked the server's signature, too.
 */
struct auth_exchange *auth_lab_client(struct auth_lab *lab, enum auth_mechanism mechanism,
                                      const char *name, const char *password,
                                      const char *exporter, enum auth_next *next,
                                      bool *server_believed);

#endif
