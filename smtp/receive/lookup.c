/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/mail/idn.h"
#include "smtp/receive/room.h"
#include "smtp/receive/visitor.h"
#include "storage/schema/address.h"

/* One recipient being looked up in the local store. */
struct lookup {
    struct visitor *visitor;
    struct lookup *next;
    struct lookup **self;
    uint64_t ticket; /* the session's */
    uint64_t call;   /* the store client's */
    struct arena lookup_arena;
    struct bytes address;
    bool as_local; /* asked for once more, see is_role_here() */
    struct policy_question question;
    struct policy_trial *trial;
    /* The answer, while the firewall or policy holds it back. */
    enum err err;
    uint64_t number;
    const struct smtp_refusal *refusal;
};

static void lookup_free(struct lookup *lookup)
{
    policy_cancel(&lookup->trial);
    *lookup->self = lookup->next;
    if (lookup->next != NULL)
        lookup->next->self = lookup->self;
    arena_fini(&lookup->lookup_arena);
    free(lookup);
}

static const struct smtp_refusal too_many = {
    452, "4.5.3", "Too many recipients, or lists, send a message of its own", false};

/* Why an address that is there takes no mail from this sender; NULL: no such reason. */
static const struct smtp_refusal *trouble(const Pr__ResolveAnswer *answer)
{
    static const struct {
        Pr__ResolveAnswer__Trouble trouble;
        struct smtp_refusal permanent;
        struct smtp_refusal temporary;
    } rows[] = {
        {PR__RESOLVE_ANSWER__TROUBLE__DISABLED,
         {550, "5.2.1", "Mailbox is disabled", false},
         {450, "4.2.1", "Mailbox is disabled at present", false}},
        {PR__RESOLVE_ANSWER__TROUBLE__LIST_CLOSED,
         {550, "5.7.2", "You may not send to this list", false},
         {450, "4.7.2", "You may not send to this list at present", false}},
        {PR__RESOLVE_ANSWER__TROUBLE__LOOP,
         {550, "5.4.6", "Address leads to itself, or to too many others", false},
         {450, "4.4.6", "Address leads to itself, or to too many others", false}},
        {PR__RESOLVE_ANSWER__TROUBLE__OUTBOUND_OFF,
         {550, "5.7.1", "Mail to other hosts is not sent from here", false},
         {450, "4.7.1", "Mail to other hosts is not sent from here at present", false}},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].trouble == answer->trouble)
            return answer->permanent ? &rows[i].permanent : &rows[i].temporary;
    return NULL;
}

/* More than the account may write to at a time (sending.message_recipients). */
static bool is_beyond(const struct visitor *visitor, uint64_t number)
{
    unsigned max = visitor->login != NULL ? login_recipients_max(visitor->login) : 0;

    return max != 0 && number > max;
}

/* What the session hears: the number of a destination, or why there is none. */
static enum err take_answer(struct lookup *lookup, const Pr__Reply *reply, uint64_t *number,
                            const struct smtp_refusal **refusal)
{
    enum err err = (enum err)reply->err;
    const Pr__ResolveAnswer *answer =
        reply->answer_case == PR__REPLY__ANSWER_RESOLVE ? reply->resolve : NULL;

    if (answer == NULL)
        /* Not to be told from a domain of others. */
        return err == ERR_NOSESSION ? ERR_NOSESSION : ERR_UNAVAILABLE;
    switch (err) {
    case ERR_OK:
        lookup->question = (struct policy_question){
            .recipient = lookup->address,
            .tenant_id = answer->tenant_id,
            .domain_id = answer->domain_id,
            .account_id = answer->account_id,
            .group = answer->group,
            .role = answer->role,
        };
        *number = destinations_add(&lookup->visitor->destinations, lookup->address, answer);
        return *number != 0 && !is_beyond(lookup->visitor, *number) ? ERR_OK : ERR_TOOBIG;
    case ERR_NOTFOUND:
        return answer->domain_local ? ERR_NOTFOUND : ERR_DENIED;
    case ERR_DENIED:
        *refusal = trouble(answer);
        return ERR_UNAVAILABLE;
    case ERR_QUOTA:
        return answer->permanent ? ERR_FULL : ERR_QUOTA;
    default:
        return ERR_UNAVAILABLE; /* the store refuses us, not the recipient */
    }
}

static void answer(struct lookup *lookup)
{
    struct visitor *visitor = lookup->visitor;
    uint64_t ticket = lookup->ticket;
    enum err err = lookup->err;
    uint64_t number = lookup->number;
    const struct smtp_refusal *refusal = lookup->refusal;

    lookup_free(lookup);
    if (refusal != NULL)
        smtp_session_refused(visitor->session, ticket, refusal);
    else
        smtp_session_resolved(visitor->session, ticket, err, number);
    visitor_continue(visitor);
}

static void on_judged(void *context, const struct smtp_refusal *refusal)
{
    struct lookup *lookup = context;

    lookup->trial = NULL;
    lookup->refusal = refusal;
    answer(lookup);
}

/* Policy comes last: of recipients that would be taken. */
static void judge(struct lookup *lookup)
{
    struct visitor *visitor = lookup->visitor;
    const struct smtp_envelope *envelope = smtp_session_envelope(visitor->session);

    if (visitor->policy != NULL && lookup->err == ERR_OK && lookup->refusal == NULL) {
        lookup->question.helo = envelope->helo;
        lookup->question.sender = envelope->sender;
        lookup->trial = policy_try(visitor->policy, &lookup->question, on_judged, lookup);
    }
    if (lookup->trial == NULL)
        answer(lookup);
}

static void on_delayed(void *context)
{
    judge(context);
}

/* What the firewall says to a recipient that is there, or is not. */
static struct firewall_verdict tell(const struct lookup *lookup)
{
    struct guard *guard = lookup->visitor->guard;
    const struct smtp_envelope *envelope = smtp_session_envelope(lookup->visitor->session);
    bool known = lookup->err == ERR_OK;
    struct firewall_verdict verdict = {.action = FIREWALL_PASS};

    if (known || lookup->err == ERR_NOTFOUND)
        verdict =
            guard_tell(guard, known ? FIREWALL_RECIPIENT : FIREWALL_RECIPIENT_UNKNOWN, 0, 0);
    if (verdict.action == FIREWALL_PASS && envelope->sender.len == 0 && known)
        verdict =
            guard_tell(guard, FIREWALL_NULL_SENDER, guard_account(guard, lookup->address), 0);
    return verdict;
}

/* The envelope's sender as addresses are looked up; "" for the null sender, and for one that
 * cannot be folded. */
static char *folded_sender(struct arena *arena, struct bytes sender)
{
    struct mail_path folded;

    if (mail_address_read(sender, arena, &folded) != ERR_OK)
        return arena_string(arena, BYTES(""));
    return arena_string(arena, mail_path_format(arena, &folded));
}

static void on_resolved(void *context, enum err err, const Pr__Reply *reply);

static void ask(struct lookup *lookup, struct bytes address)
{
    struct visitor *visitor = lookup->visitor;
    const struct smtp_envelope *envelope = smtp_session_envelope(visitor->session);
    Pr__Resolve call;
    Pr__Request request = PR__REQUEST__INIT;

    pr__resolve__init(&call); /* the macro casts a const away */
    call.address = arena_string(&lookup->lookup_arena, address);
    call.size = envelope->size;
    call.expand = true;
    call.sender = folded_sender(&lookup->lookup_arena, envelope->sender);
    if (visitor->login != NULL)
        request.session = login_session(visitor->login);
    request.call_case = PR__REQUEST__CALL_RESOLVE;
    request.resolve = &call;
    lookup->call = store_call(visitor->receive->config.store, &request,
                              visitor->receive->config.times->lookup_ms, on_resolved, lookup);
}

/*
 * postmaster@ and abuse@ of this host, whose name need not be a domain of ours (RFC 5321
 * section 4.5.1, RFC 2142 section 5): the cluster's own, as "postmaster" without a domain is,
 * also for users, for whom it would be an address on some other host. Where the name is a
 * domain of ours, that domain has its own.
 */
static bool is_role_here(const struct lookup *lookup, const Pr__Reply *reply,
                         struct bytes *local)
{
    struct bytes here = bytes_of(lookup->visitor->receive->config.hostname);
    struct bytes host;

    return reply->answer_case == PR__REPLY__ANSWER_RESOLVE && !reply->resolve->domain_local &&
           reply->err != ERR_NOSESSION && address_split(lookup->address, local, &host) &&
           address_is_role(*local) && bytes_equal_nocase(host, here);
}

static void on_resolved(void *context, enum err err, const Pr__Reply *reply)
{
    struct lookup *lookup = context;
    struct visitor *visitor = lookup->visitor;
    struct bytes local;

    lookup->call = 0;
    if (err == ERR_OK && !lookup->as_local && is_role_here(lookup, reply, &local)) {
        lookup->as_local = true;
        ask(lookup, address_fold(&lookup->lookup_arena, local, BYTES("localhost")));
        return;
    }
    lookup->err =
        err == ERR_OK ? take_answer(lookup, reply, &lookup->number, &lookup->refusal) : err;
    if (lookup->refusal == NULL && lookup->err == ERR_TOOBIG)
        lookup->refusal = &too_many;
    if (lookup->err == ERR_NOSESSION)
        lookup->refusal = &visitor_log_in_again;
    struct firewall_verdict verdict = tell(lookup);
    if (verdict.action == FIREWALL_DELAY) {
        guard_delay(visitor->guard, verdict.delay_ms, on_delayed, lookup);
        return;
    }
    struct smtp_refusal refusal = visitor_refusal(&verdict);
    if (verdict.action != FIREWALL_PASS)
        lookup->refusal = &refusal;
    judge(lookup);
}

static bool has_no_room(struct visitor *visitor, uint64_t ticket)
{
    static const struct smtp_refusal no_room = {
        452, "4.3.1", "No room for the message now, try again", false};

    if (!room_is_over(visitor->receive))
        return false;
    smtp_session_refused(visitor->session, ticket, &no_room);
    return true;
}

void lookup_start(struct visitor *visitor, const struct smtp_action *action)
{
    /* What recipients take stays until the transaction ends, whether a message comes or not. */
    if (has_no_room(visitor, action->ticket))
        return;
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    const struct smtp_envelope *envelope = smtp_session_envelope(visitor->session);

    CHECK(lookup != NULL);
    *lookup = (struct lookup){
        .visitor = visitor,
        .next = visitor->lookups,
        .self = &visitor->lookups,
        .ticket = action->ticket,
    };
    if (lookup->next != NULL)
        lookup->next->self = &lookup->next;
    /* The first of a transaction: what came of an earlier one is of no use any more. */
    if (visitor->lookups == NULL && envelope->recipient_count == 0) {
        destinations_clear(&visitor->destinations);
        if (visitor->policy != NULL)
            policy_client_mail(visitor->policy);
    }
    visitor->lookups = lookup;
    arena_init(&lookup->lookup_arena);
    lookup->address = arena_copy(&lookup->lookup_arena, action->bytes);
    ask(lookup, lookup->address);
}

void lookup_cancel_all(struct visitor *visitor)
{
    while (visitor->lookups != NULL) {
        store_cancel(visitor->receive->config.store, visitor->lookups->call);
        lookup_free(visitor->lookups);
    }
}
