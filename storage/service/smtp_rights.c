/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/smtp_rights.h"

#include "node/base/log.h"
#include "node/mail/idn.h"
#include "node/runtime/log_pause.h"
#include "storage/query/addresses.h"
#include "storage/query/directory.h"
#include "storage/query/settings.h"
#include "storage/service/promises.h"
#include "storage/service/sending_lane.h"
#include "storage/service/sessions.h"

void smtp_rights_promise(struct service_call *call, const Pr__ResolveAnswer *answer)
{
    struct promises *promises = call->service->promises;
    uint64_t now_ms = clock_monotonic_ms();

    for (size_t i = 0; i < answer->n_targets; i++) {
        const Pr__ResolvedTarget *target = answer->targets[i];
        const struct promise_target remote = {
            .remote = bytes_of(target->remote),
            .sender = bytes_of(target->sender),
            .envelope = bytes_of(call->request->resolve->sender),
            .account_id = target->forward_account_id,
        };
        if (target->account_id != 0 && answer->n_targets > 1)
            promises_account(promises, call->connection, target->account_id, now_ms);
        else if (target->account_id == 0 && !target->keep_sender)
            promises_remote(promises, call->connection, &remote, now_ms);
    }
}

bool smtp_rights_has_room(struct service_call *call, uint64_t account_id)
{
    return promises_has_account(call->service->promises, call->connection, account_id,
                                clock_monotonic_ms());
}

/* A delivery that is looked at. */
struct check {
    struct service_call *call;
    struct db_txn *txn;
    Pr__AccountRecord *account; /* who submits; NULL: nobody is logged in */
    bool may_leave;             /* what it writes to strangers */
    struct bytes sender;        /* of the envelope, folded; empty: nobody, or no address */
    uint64_t strangers_max;     /* that one message may name */
    uint64_t strangers;
};

static struct bytes folded(const char *address, struct arena *arena)
{
    struct mail_path path;

    return mail_address_read(bytes_of(address), arena, &path) == ERR_OK
               ? mail_path_format(arena, &path)
               : bytes_from(NULL, 0);
}

static Pr__AccountRecord *account_by_id(const struct check *check, uint64_t account_id)
{
    struct arena *arena = &check->call->call_arena;
    struct bytes address;
    uint32_t group;

    return directory_account_by_id(check->txn, account_id, arena, &address, &group)
               ? directory_account(check->txn, address, arena)
               : NULL;
}

/* Whoever submits: as it is in the directory now, not when it logged in. */
static enum err check_submitter(struct check *check)
{
    struct service_call *call = check->call;
    struct arena *arena = &call->call_arena;

    check->account = account_by_id(check, call->session->account_id);
    if (check->account == NULL)
        return ERR_NOSESSION;
    if (check->account->bars & PR__ACCOUNT_BAR__BAR_SEND)
        return ERR_DENIED;
    const char *written = call->request->deliver->envelope != NULL
                              ? call->request->deliver->envelope->sender
                              : "";
    if (*written != '\0' &&
        (check->sender.len == 0 ||
         !addresses_may_send(check->txn, check->account, check->sender, arena)))
        return ERR_DENIED;
    struct settings_place place = settings_place_account(check->txn, check->account, arena);
    check->may_leave = settings_number(check->txn, place, SETTING_MAIL_OUTBOUND) != 0;
    check->strangers_max =
        (uint64_t)settings_number(check->txn, place, SETTING_SENDING_MESSAGE_RECIPIENTS);
    return ERR_OK;
}

/* Held by who is logged in, for an account here: as good as a delivery to it now. Notices about
 * it go to who submits, or to the list whose member it is. */
static bool check_inward(const struct check *check, const Pr__QueueRecipient *recipient)
{
    return check->account != NULL &&
           (*recipient->sender == '\0' ||
            sending_is_of_list(check->txn, bytes_of(recipient->sender),
                               &check->call->call_arena));
}

/* One on another host: the store has named it, or who is logged in has. `account_id`: whose
 * forward it is said to be. Who got the message by this very delivery is but told of to its
 * sender: the state machine looks at the rest. */
static bool check_remote(struct check *check, const Pr__QueueRecipient *recipient,
                         uint64_t account_id)
{
    const struct promise_target target = {
        .remote = bytes_of(recipient->address),
        .sender = bytes_of(recipient->sender),
        .envelope = check->sender,
        .account_id = account_id,
    };

    if (recipient->null_sender)
        return false;
    if (recipient->account_id != 0)
        return check_inward(check, recipient);
    if (recipient->tell)
        return recipient->state != PR__QUEUE_RECIPIENT__STATE__WAITING;
    return promises_has_remote(check->call->service->promises, check->call->connection, &target,
                               clock_monotonic_ms()) ||
           (check->may_leave && account_id == 0 && *recipient->sender == '\0' &&
            ++check->strangers <= check->strangers_max);
}

static bool check_remotes(struct check *check, Pr__QueueRecipient *const *queue, size_t count,
                          uint64_t account_id)
{
    for (size_t i = 0; i < count; i++)
        if (!check_remote(check, queue[i], account_id))
            return false;
    return true;
}

static enum err check_all(struct check *check)
{
    const Pr__DeliverCall *asked = check->call->request->deliver;
    bool good = true;

    if (check->call->session != NULL) {
        enum err err = check_submitter(check);
        if (err != ERR_OK)
            return err;
    }
    good = check_remotes(check, asked->queue, asked->n_queue, asked->queue_account_id);
    for (size_t i = 0; i < asked->n_parts && good; i++) {
        const Pr__DeliverCallPart *part = asked->parts[i];
        good = check_remotes(check, part->queue, part->n_queue, part->queue_account_id);
    }
    return good ? ERR_OK : ERR_UNAVAILABLE;
}

/* Notices: what a relay makes leaves with the null sender, whoever gets it. An account's
 * forward is one that the store has named. */
static bool check_notice(struct service_call *call, Pr__QueueRecipient *const *queue,
                         size_t count, uint64_t account_id)
{
    bool good = true;

    for (size_t i = 0; i < count && good; i++) {
        const struct promise_target target = {
            .remote = bytes_of(queue[i]->address),
            .account_id = account_id,
        };
        good =
            *queue[i]->sender == '\0' && queue[i]->account_id == 0 && !queue[i]->tell &&
            (account_id == 0 || promises_has_remote(call->service->promises, call->connection,
                                                    &target, clock_monotonic_ms()));
    }
    return good;
}

static enum err check_relay(struct service_call *call)
{
    const Pr__DeliverCall *asked = call->request->deliver;
    bool good = (asked->envelope == NULL || *asked->envelope->sender == '\0') &&
                check_notice(call, asked->queue, asked->n_queue, asked->queue_account_id);

    for (size_t i = 0; i < asked->n_parts && good; i++) {
        const Pr__DeliverCallPart *part = asked->parts[i];
        good = check_notice(call, part->queue, part->n_queue, part->queue_account_id);
    }
    return good ? ERR_OK : ERR_DENIED;
}

static bool has_queue(const Pr__DeliverCall *asked)
{
    bool queued = asked->n_queue > 0;

    for (size_t i = 0; i < asked->n_parts; i++)
        queued = queued || asked->parts[i]->n_queue > 0;
    return queued;
}

static enum err check_front_end(struct service_call *call)
{
    const Pr__DeliverCall *asked = call->request->deliver;
    struct check check = {.call = call};

    if (asked->envelope != NULL)
        check.sender = folded(asked->envelope->sender, &call->call_arena);
    check.txn = service_directory_begin(call->service);
    enum err err = check_all(&check);
    if (err == ERR_OK)
        err = db_error(check.txn);
    db_abort(&check.txn);
    return err;
}

enum err smtp_rights_check(struct service_call *call)
{
    static _Atomic uint64_t logged_ms;
    enum err err = ERR_OK;

    if (call->role == ROLE_RELAY)
        err = check_relay(call);
    else if (call->session != NULL || has_queue(call->request->deliver))
        err = check_front_end(call);
    if ((err == ERR_DENIED || err == ERR_UNAVAILABLE) && log_pause_over(&logged_ms))
        log_warn(
            NULL, "a front end asked for a delivery that it may not ask for",
            LOG_FIELDS(LOG_U64("connection", call->connection),
                       LOG_TEXT("sender", call->session != NULL ? call->session->address : ""),
                       LOG_TEXT("result", err_name(err))));
    return err;
}
