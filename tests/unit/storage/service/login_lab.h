/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_SERVICE_LOGIN_LAB_H
#define TESTS_UNIT_STORAGE_SERVICE_LOGIN_LAB_H

#include "storage/auth/auth.h"
#include "tests/unit/storage/auth/scram_client.h"
#include "tests/unit/storage/service/calls_world.h"

/*
 * Front ends and clients who log in: the real exchanges, checks of passwords and verifiers,
 * over the directory of directory_lab.h. Each call has ended, and what it began, when it is
 * back; `heard` has its reply.
 */
struct login_lab_told {
    unsigned good; /* what the firewall was told */
    unsigned bad;
};
extern struct login_lab_told login_lab_told;

int login_lab_begin(void **state);
/* The same, with the directory in that format, without the cluster's own account. */
void login_lab_begin_with(unsigned format);
int login_lab_end(void **state);

void login_lab_account(const char *address, const char *password);
void login_lab_password(const char *address, const char *password);
/* NULL: nothing. */
const Pr__Credentials *login_lab_credentials(const char *address);

/* A message of a client; without a mechanism it goes on with the exchange. `exporter`: what the
 * front end says of the channel; NULL: nothing. */
struct login_lab_step {
    enum service_role role;
    uint32_t connection;
    uint64_t exchange;
    const char *mechanism;
    struct bytes message;
    const char *exporter;
};
enum err login_lab_step(const struct login_lab_step *step);
/* OK: there is a session. On a connection of that role of its own. */
enum err login_lab_plain(enum service_role role, const char *user, const char *password);
/* A whole exchange. OK: there is a session, and the client has believed the server. */
enum err login_lab_scram(enum service_role role, struct scram_client *client,
                         const char *mechanism, const char *exporter);
/* By SCRAM-SHA-256 without a binding. */
enum err login_lab_scram_plain(enum service_role role, const char *user, const char *password);

/* The answer's. */
const Pr__AuthStepAnswer *login_lab_answer(void);
/* "s=...,i=..." of a SCRAM challenge; in the lab's arena. */
const char *login_lab_salt(struct bytes challenge);

#endif
