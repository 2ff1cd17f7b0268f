/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_SESSION_INTERNAL_H
#define IMAP_SESSION_INTERNAL_H

#include "imap/protocol/arguments.h"
#include "imap/protocol/limits.h"
#include "imap/protocol/reader.h"
#include "imap/session/session.h"
#include "imap/session/view.h"
#include "node/base/check.h"

/* What the files of this folder share. Nobody else includes it. */

#define IMAP_IN(state) (1U << (state))

enum imap_state {
    IMAP_STATE_OPENED,
    IMAP_STATE_GREETED, /* RFC 3501 section 3.1: not authenticated */
    IMAP_STATE_LOGGED_IN,
    IMAP_STATE_SELECTED,
    IMAP_STATE_CLOSED,
    IMAP_STATE_COUNT,
};

enum {
    IMAP_OUTPUT_CHUNK = 64 * 1024, /* of one WRITE; no more is produced than that much beyond */
    IMAP_OWN_CHANGES_MAX = 4,
    IMAP_BATCH_MESSAGES = 5000, /* of one write: half of what the store takes */
    IMAP_READ_DEADLINE_MS = 10 * 1000,
    IMAP_WRITE_DEADLINE_MS = 20 * 1000,
    IMAP_LOGIN_DEADLINE_MS = 30 * 1000, /* hashes of passwords wait for one another */
    IMAP_NEWS_RETRY_MS = 2000,          /* in IDLE, when the store could not say what is new */
};

/* The selected mailbox. */
struct imap_selected {
    uint32_t id;
    bool read_only;
    struct imap_view view;
    struct imap_keywords keywords;
    uint64_t synced_modseq; /* what the client knows */
    uint64_t told_modseq;   /* what the store says that there is; past it something is new */
    /* What this session changed itself, and the client knows already: modseqs. */
    struct imap_own_change {
        uint64_t first;
        uint64_t last;
    } own_changes[IMAP_OWN_CHANGES_MAX];
    unsigned own_count;
};

struct imap_session;
typedef void imap_answered(struct imap_session *session, enum err err, const Pr__Reply *reply);
/* Produces some more output. Returns false when nothing can be done before something comes in.
 */
typedef bool imap_step(struct imap_session *session);

/* A command under way; it and all it points to lives in the command arena. */
struct imap_running {
    const struct imap_command *command;
    bool by_uid;
    bool reads;      /* wants input itself */
    bool in_literal; /* the client is in the middle of one that we write */
    struct bytes tag;
    struct imap_arguments arguments;
    void *work; /* the command's own */
    void (*cleanup)(
        struct imap_session *session); /* of what is not in the arena; may be NULL */
    /* reads: a line has come, or something that cannot be one (NULL: that is a BAD) */
    void (*on_line)(struct imap_session *session, struct bytes line);
    void (*on_broken)(struct imap_session *session, const char *problem);
    struct bytes final; /* the tagged reply, once it is known */
};

struct imap_session {
    const struct imap_session_config *config;
    void *owner;
    const char *peer_address;
    enum imap_state state;
    bool has_tls;
    bool can_tls;
    bool close_wanted;
    bool tls_wanted;
    bool tls_waits; /* until tls_started(), what comes is no command */
    bool is_idling;
    bool write_wanted; /* of `request` */
    uint8_t bad_count; /* in a row */
    uint8_t login_failures;
    bool logs_in;         /* see imap_session_logs_in() */
    unsigned body_wanted; /* bits of enum imap_want */
    unsigned delay_ms;    /* not 0: wanted */
    uint64_t ticket;      /* of the outstanding call or delay, or 0 */
    uint64_t last_ticket;
    uint64_t store_id;
    Pr__Request *request; /* wanted */
    imap_answered *answered;
    void (*delayed)(struct imap_session *session);
    imap_step *step;
    struct bytes piece; /* of BODY_DATA */
    struct imap_running *running;
    struct imap_expunging *expunging;
    struct imap_sync *sync;
    char *idle_tag;
    struct imap_reader reader;
    struct buffer output;
    size_t output_lent;
    struct arena command_arena;
    struct imap_selected selected;
    struct imap_range *saved; /* "$" (RFC 5182): UIDs */
    size_t saved_count;
};

/* ---- commands.c: the table ---- */

enum imap_command_flag {
    IMAP_HAS_UID = 1 << 0,      /* there is a UID form */
    IMAP_ONLY_UID = 1 << 1,     /* this row is the UID form */
    IMAP_CHANGES = 1 << 2,      /* not in a mailbox opened by EXAMINE */
    IMAP_NO_UPDATES = 1 << 3,   /* the answer ends without news of the mailbox */
    IMAP_KEEP_NUMBERS = 1 << 4, /* the same, unless in the UID form (RFC 3501 section 7.4.1) */
};

struct imap_command {
    struct bytes name;
    unsigned states; /* where it may come */
    unsigned flags;
    imap_parse *parse;
    void (*run)(struct imap_session *session);
};

const struct imap_command *imap_command_find(struct bytes name, bool by_uid);

/* ---- session.c ---- */

void imap_session_call(struct imap_session *session, Pr__Request *request, bool is_write,
                       imap_answered *answered);
Pr__Request *imap_request_new(struct imap_session *session, Pr__Request__CallCase call);
void imap_session_delay(struct imap_session *session, unsigned delay_ms,
                        void (*delayed)(struct imap_session *session));
void imap_session_move(struct imap_session *session, enum imap_state next);
void imap_session_event(struct imap_session *session, enum imap_event event, struct bytes text);
void *imap_alloc(struct imap_session *session, size_t size);

/* No command is under way any more: what it took is given back. */
void imap_session_rest(struct imap_session *session);

/* ---- reply.c ---- */

/* The tagged reply; news of the mailbox go out before it where they may. `code` is NULL or
 * "TRYCREATE" without brackets. */
void imap_finish(struct imap_session *session, const char *status, const char *code,
                 const char *text);
void imap_finish_ok(struct imap_session *session, const char *text);
void imap_finish_err(struct imap_session *session, enum err err);
void imap_finish_bad(struct imap_session *session, const char *problem);
/* Writes what imap_finish() has kept. */
void imap_finish_now(struct imap_session *session);
/* One bad line more: too many are the end. Before log-in each is a breach, since all that a
 * client has to say there is little. */
void imap_count_bad(struct imap_session *session);
/* One that came to nothing, in good faith as far as one can tell: only too many count. */
void imap_count_vain(struct imap_session *session);
/* In the command arena. */
const char *imap_capabilities(struct imap_session *session);
__attribute__((format(printf, 2, 3))) void imap_say(struct imap_session *session,
                                                    const char *format, ...);

/* ---- dispatch.c ---- */

/* A literal that is not wanted: what the client sends of it anyway is read over, or the client
 * has to go. */
void imap_refuse_literal(struct imap_session *session);

/* ---- sync.c, expunging.c ---- */

/* Tells the client what has happened, then calls `done`. `fresh`: asks the leader first. */
void imap_sync_start(struct imap_session *session, bool fresh,
                     void (*done)(struct imap_session *session));
bool imap_sync_needed(const struct imap_session *session);
/* The selected mailbox has at least that modseq now. */
void imap_sync_want(struct imap_session *session, uint64_t modseq);
/* The outcome of a change of flags by this session. */
void imap_own_change(struct imap_session *session, const Pr__Outcome *outcome);
/* Takes over a mailbox's list of keywords, and tells the client when it is another one. */
void imap_keywords_learn(struct imap_session *session, char *const *names, size_t count);

/* Says EXPUNGE for what there is of `ranges` in the view, removes it, then calls `done`. The
 * ranges stay borrowed until then. */
void imap_expunging_start(struct imap_session *session, struct imap_ranges ranges,
                          void (*done)(struct imap_session *session));

/* ---- selected.c ---- */

void imap_deselect(struct imap_session *session);
void imap_flags_say(struct imap_session *session);

/* Keywords in the store's form. */
char **imap_keyword_list(struct imap_session *session, const struct imap_flags *flags);

/* Ranges of the store's form, both ways. */
struct imap_ranges imap_ranges_from(struct imap_session *session, Pr__UidRange *const *from,
                                    size_t count);
Pr__UidRange **imap_ranges_to(struct arena *arena, const struct imap_ranges *ranges);

/*
 * The UIDs that a set of message numbers, or of UIDs, means in the selected mailbox. False, and
 * the command is finished, for numbers of messages that do not exist (RFC 3501 section 9,
 * seq-number).
 */
bool imap_resolve(struct imap_session *session, const struct imap_sequence *sequence,
                  bool by_uid, struct imap_ranges *uids);
/* The same without complaint: what does not exist is nothing. */
struct imap_ranges imap_resolve_numbers(struct imap_session *session,
                                        const struct imap_sequence *sequence, bool by_uid);

/* ---- batch.c ---- */

/* Takes as many messages off the front of `left` as one write may have. The batch is in the
 * command arena. False: none are left. */
bool imap_batch_take(struct imap_session *session, struct imap_ranges *left,
                     struct imap_ranges *batch);

/* ---- mailbox.c ---- */

/* Asks for the state of the mailbox of that name, for a command that writes to it. */
void imap_target_find(struct imap_session *session, struct bytes name, imap_answered *answered);
/* Ends the command whose target is not there, or cannot be asked for. */
void imap_target_missing(struct imap_session *session, enum err err);

/* ---- fetch.c ---- */

/* Answers with these items of these messages, then finishes the command with OK. */
void imap_fetch_start(struct imap_session *session, struct imap_ranges uids,
                      const struct imap_fetch_items *items, const char *text);

/* ---- status.c ---- */

void imap_status_write(struct imap_session *session, const Pr__MailboxInfo *info,
                       unsigned items);

/* ---- append.c ---- */

/* A piece of the message. */
void imap_append_piece(struct imap_session *session, struct bytes piece);

/* ---- the commands ---- */

void imap_run_capability(struct imap_session *session);
void imap_run_noop(struct imap_session *session);
void imap_run_logout(struct imap_session *session);
void imap_run_id(struct imap_session *session);
void imap_run_enable(struct imap_session *session);
void imap_run_namespace(struct imap_session *session);
void imap_run_starttls(struct imap_session *session);
void imap_run_login(struct imap_session *session);
void imap_run_authenticate(struct imap_session *session);
void imap_run_select(struct imap_session *session);
void imap_run_examine(struct imap_session *session);
void imap_run_close(struct imap_session *session);
void imap_run_unselect(struct imap_session *session);
void imap_run_list(struct imap_session *session);
void imap_run_status(struct imap_session *session);
void imap_run_get_quota(struct imap_session *session);
void imap_run_create(struct imap_session *session);
void imap_run_delete(struct imap_session *session);
void imap_run_rename(struct imap_session *session);
void imap_run_subscribe(struct imap_session *session);
void imap_run_unsubscribe(struct imap_session *session);
void imap_run_append(struct imap_session *session);
void imap_run_fetch(struct imap_session *session);
void imap_run_store(struct imap_session *session);
void imap_run_copy(struct imap_session *session);
void imap_run_move(struct imap_session *session);
void imap_run_expunge(struct imap_session *session);
void imap_run_uid_expunge(struct imap_session *session);
void imap_run_search(struct imap_session *session);
void imap_run_idle(struct imap_session *session);
/* The line that ends IDLE. */
void imap_idle_line(struct imap_session *session, struct bytes line);
/* Something happened while IDLE waits. */
void imap_idle_news(struct imap_session *session);

#endif
