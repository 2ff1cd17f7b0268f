/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_IMAP_FAKE_STORE_H
#define TESTS_UNIT_IMAP_FAKE_STORE_H

#include "imap/session/session.h"
#include "node/base/arena.h"
#include "node/base/buffer.h"
#include "storage/auth/auth.h"

/*
 * A store for one account in plain arrays, and a driver that plays a session against it. User
 * "ann@example.org", password "secret", the store's own exchanges with nothing random in them.
 * Everything that the session wants is written down in
 * `seen`, what was called in `calls`.
 */
enum { FAKE_MAILBOXES_MAX = 16, FAKE_MESSAGES_MAX = 64, FAKE_KEYWORDS_MAX = 8 };

struct fake_message {
    uint32_t mailbox;
    uint32_t uid;
    uint64_t flags;
    uint64_t modseq;
    int64_t internal_s;
    int internal_zone;
    struct bytes body;
    bool expunged; /* modseq tells when */
};

struct fake_mailbox {
    uint32_t id;
    char name[64];
    bool exists;
    bool subscribed;
    unsigned special_use;
    uint32_t uid_next;
};

struct fake_store {
    struct arena arena;
    struct fake_mailbox mailboxes[FAKE_MAILBOXES_MAX];
    size_t mailbox_count;
    struct fake_message messages[FAKE_MESSAGES_MAX];
    size_t message_count;
    char keywords[FAKE_KEYWORDS_MAX][65];
    size_t keyword_count;
    uint64_t modseq;
    size_t page;         /* messages in one answer to Fetch; 0: all */
    enum err fail;       /* what the next call answers instead */
    enum err lost;       /* what becomes of the next call's answer on its way */
    unsigned fail_after; /* that many calls go well before */
    struct body_codec *codec;
    Pr__AccountQuota *quota;        /* NULL: no limits */
    struct auth_exchange *exchange; /* of a log-in; NULL: none */
    uint64_t exchange_id;
};

void fake_store_init(struct fake_store *store);
void fake_store_fini(struct fake_store *store);

/* The exchange under way is known no more. */
void fake_store_forget_login(struct fake_store *store);

/* A message arrives. Lives in the store's arena. */
uint32_t fake_store_deliver(struct fake_store *store, uint32_t mailbox, struct bytes body,
                            uint64_t flags);
void fake_store_expunge(struct fake_store *store, uint32_t mailbox, uint32_t uid);
void fake_store_set_flags(struct fake_store *store, uint32_t mailbox, uint32_t uid,
                          uint64_t flags);

/* The answer to a call. Lives in `arena`. */
Pr__Reply *fake_store_answer(struct fake_store *store, const Pr__Request *request,
                             struct arena *arena);

bool fake_search_matches(const struct fake_store *store, const struct fake_message *message,
                         const Pr__SearchKey *key);

struct fake_driver {
    struct fake_store store;
    struct imap_session_config config;
    struct imap_session *session;
    struct buffer seen;
    struct buffer calls;
    struct buffer upload;
    bool uploading;
    bool closed;
    bool quiet; /* nothing but what was written goes to `seen` */
    bool logged_in;
    bool call_without_login; /* must never be */
    unsigned breaches;
    unsigned turned_away;
    struct imap_verdict verdict; /* on the next attempt of that kind */
    enum imap_attempt judged;
    struct buffer attempts; /* "try ", "right DIGEST ", "wrong DIGEST SECRET " */
    size_t write_max;       /* the largest WRITE */
    size_t memory_max;      /* of the session, at any time */
};

void fake_driver_init(struct fake_driver *driver, bool has_tls);
void fake_driver_fini(struct fake_driver *driver);

/* Performs what the session wants until it wants nothing. */
void fake_driver_pump(struct fake_driver *driver);
/* Gives it bytes as a connection would, and pumps. */
void fake_driver_feed(struct fake_driver *driver, struct bytes input);

#endif
