/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/receive/copies.h"

#include "node/base/check.h"

/* What a recipient's wording is found by. */
struct which {
    struct bytes list;
    struct bytes forward;
    uint64_t forward_account_id;
};

static struct copy *find(struct copies *copies, const struct which *which)
{
    for (unsigned i = 0; i < copies->count; i++)
        if (bytes_equal(copies->at[i].list, which->list) &&
            bytes_equal(copies->at[i].forward, which->forward) &&
            copies->at[i].forward_account_id == which->forward_account_id)
            return &copies->at[i];
    return NULL;
}

static struct copy *find_or_make(struct copies *copies, const struct which *which,
                                 const struct destination *destination)
{
    struct copy *copy = find(copies, which);

    if (copy != NULL)
        return copy;
    CHECK(copies->count < COPIES_MAX);
    copy = &copies->at[copies->count++];
    *copy = (struct copy){
        .list = arena_copy(copies->arena, which->list),
        .forward = arena_copy(copies->arena, which->forward),
        .forward_account_id = which->forward_account_id,
        .destination = destination,
        .account_ids = arena_alloc(copies->arena, copies->targets * sizeof(*copy->account_ids)),
        /* The first has room for those of whom the sender is told, too. */
        .queue = arena_alloc(copies->arena, (copies->count == 1 ? 2 : 1) * copies->targets *
                                                sizeof(Pr__QueueRecipient *)),
    };
    return copy;
}

static void add_account(struct copy *copy, uint64_t account_id)
{
    for (size_t i = 0; i < copy->account_count; i++)
        if (copy->account_ids[i] == account_id)
            return;
    copy->account_ids[copy->account_count++] = account_id;
}

static char *original_recipient(struct arena *arena, const struct smtp_recipient *recipient)
{
    if (recipient->original_type.len == 0)
        return arena_string(arena, BYTES(""));
    return arena_printf(arena, "%.*s;%.*s", BYTES_ARG(recipient->original_type),
                        BYTES_ARG(recipient->original_address));
}

static Pr__QueueRecipient *add_queued(struct copies *copies, struct copy *copy,
                                      struct bytes address)
{
    Pr__QueueRecipient *queued = arena_alloc(copies->arena, sizeof(*queued));

    pr__queue_recipient__init(queued);
    queued->address = arena_string(copies->arena, address);
    copy->queue[copy->queue_count++] = queued;
    return queued;
}

/* What the sender wants to hear of a target (RFC 3461 section 5.2.7): of a list's members
 * nothing that it has said counts, and of those behind an address that stands for several not
 * that they got it. */
static void add_wishes(struct copies *copies, const struct smtp_recipient *recipient,
                       const struct destination *destination,
                       const struct destination_target *target, Pr__QueueRecipient *queued)
{
    if (target->from_list)
        return;
    queued->orcpt = original_recipient(copies->arena, recipient);
    queued->notify = recipient->notify;
    if (destination->count == 1 || recipient->notify == 0)
        return;
    queued->notify &= ~(unsigned)SMTP_NOTIFY_SUCCESS;
    if (queued->notify == 0)
        queued->notify = SMTP_NOTIFY_NEVER; /* of nothing else either */
}

static void add_remote(struct copies *copies, struct copy *copy,
                       const struct smtp_recipient *recipient,
                       const struct destination *destination,
                       const struct destination_target *target)
{
    struct bytes address = target->named ? recipient->path : target->remote;

    for (size_t i = 0; i < copy->queue_count; i++)
        if (copy->queue[i]->account_id == 0 &&
            bytes_equal(bytes_of(copy->queue[i]->address), address))
            return;
    Pr__QueueRecipient *queued = add_queued(copies, copy, address);
    queued->sender = arena_string(copies->arena, target->sender);
    add_wishes(copies, recipient, destination, target, queued);
}

/* An account here, that gets the message when its time has come. */
static void add_held(struct copies *copies, struct copy *copy,
                     const struct smtp_recipient *recipient,
                     const struct destination *destination,
                     const struct destination_target *target)
{
    for (size_t i = 0; i < copy->queue_count; i++)
        if (copy->queue[i]->account_id == target->account_id)
            return;
    Pr__QueueRecipient *queued = add_queued(copies, copy, recipient->path);
    queued->account_id = target->account_id;
    queued->sender = arena_string(copies->arena, target->sender);
    add_wishes(copies, recipient, destination, target, queued);
}

static void sort_target(struct copies *copies, const struct smtp_recipient *recipient,
                        const struct destination *destination,
                        const struct destination_target *target)
{
    struct which which = {.forward_account_id = 0};

    if (target->from_list) {
        which.list = destination->list;
    } else if (destination_target_marked(target)) {
        which.forward = destination->address;
        which.forward_account_id = target->forward_account_id;
    }
    struct copy *copy = find_or_make(copies, &which, destination);
    if (target->account_id == 0) {
        add_remote(copies, copy, recipient, destination, target);
    } else if (copies->held) {
        add_held(copies, copy, recipient, destination, target);
    } else {
        add_account(copy, target->account_id);
        if (destination->count > 1)
            copies->promised_ids[copies->promised_count++] = target->account_id;
    }
}

/* Those that are marked come last: the first wording is one for accounts here, if any is. */
static void sort_round(struct copies *copies, const struct smtp_envelope *envelope,
                       const struct destinations *destinations, bool marked)
{
    for (unsigned i = 0; i < envelope->recipient_count; i++) {
        const struct smtp_recipient *recipient = &envelope->recipients[i];
        const struct destination *destination =
            destinations_get(destinations, recipient->account_id);
        for (size_t j = 0; j < destination->count; j++)
            if (destination_target_marked(&destination->targets[j]) == marked)
                sort_target(copies, recipient, destination, &destination->targets[j]);
        if (copies->group == 0)
            copies->group = destination->group;
    }
}

/* What is done with the delivery; WAITING: the sender hears of it later, or does not ask to. */
static Pr__QueueRecipient__State arrival(const struct copies *copies,
                                         const struct smtp_recipient *recipient,
                                         const struct destination *destination)
{
    if (!(recipient->notify & SMTP_NOTIFY_SUCCESS))
        return PR__QUEUE_RECIPIENT__STATE__WAITING;
    if (destination->list.len > 0) /* RFC 3461 section 5.2.7.1 */
        return PR__QUEUE_RECIPIENT__STATE__DELIVERED;
    if (destination->count > 1)
        return PR__QUEUE_RECIPIENT__STATE__EXPANDED;
    return destination->targets[0].account_id != 0 && !copies->held
               ? PR__QUEUE_RECIPIENT__STATE__DELIVERED
               : PR__QUEUE_RECIPIENT__STATE__WAITING;
}

static bool is_told(const struct copy *copy, const struct smtp_recipient *recipient)
{
    for (size_t i = 0; i < copy->queue_count; i++)
        if (copy->queue[i]->tell &&
            bytes_equal(bytes_of(copy->queue[i]->address), recipient->path))
            return true;
    return false;
}

/* Notices that are owed as soon as the delivery is done, and so lie in the queue with it. */
static void add_told(struct copies *copies, const struct smtp_envelope *envelope,
                     const struct destinations *destinations)
{
    struct copy *copy = &copies->at[0];

    if (envelope->sender.len == 0)
        return;
    for (unsigned i = 0; i < envelope->recipient_count; i++) {
        const struct smtp_recipient *recipient = &envelope->recipients[i];
        Pr__QueueRecipient__State state =
            arrival(copies, recipient, destinations_get(destinations, recipient->account_id));
        if (state == PR__QUEUE_RECIPIENT__STATE__WAITING || is_told(copy, recipient))
            continue;
        Pr__QueueRecipient *told = add_queued(copies, copy, recipient->path);
        told->state = state;
        told->tell = true;
        told->notify = recipient->notify;
        told->orcpt = original_recipient(copies->arena, recipient);
    }
}

void copies_sort(struct copies *copies, struct arena *arena,
                 const struct smtp_envelope *envelope, const struct destinations *destinations)
{
    *copies = (struct copies){
        .arena = arena,
        .held = envelope->hold_for_s != 0 || envelope->hold_until_s != 0,
        .targets = destinations->targets,
        .promised_ids =
            arena_alloc(arena, destinations->targets * sizeof(*copies->promised_ids)),
    };
    copies->guard = smtp_mime_guard_new();
    if (envelope->body_binary)
        copies->convert = smtp_convert_new();
    sort_round(copies, envelope, destinations, false);
    sort_round(copies, envelope, destinations, true);
    add_told(copies, envelope, destinations);
    /* As the store chooses it (smtp_deliver()): the text has to lie where the delivery goes. */
    for (unsigned i = 0; i < copies->count && copies->home_account_id == 0; i++)
        if (copies->at[i].account_count > 0)
            copies->home_account_id = copies->at[i].account_ids[0];
}

static void copy_add(struct copies *copies, struct copy *copy, struct bytes text)
{
    if (smtp_header_edit_over(copy->edit)) {
        body_writer_add(copy->writer, text);
        return;
    }
    buffer_clear(&copies->edited);
    smtp_header_edit_feed(copy->edit, text, &copies->edited);
    body_writer_add(copy->writer, buffer_bytes(&copies->edited));
}

/* Text of lines. */
static void add_text(struct copies *copies, struct bytes text)
{
    smtp_mime_guard_feed(copies->guard, text);
    for (unsigned i = 0; i < copies->count; i++)
        copy_add(copies, &copies->at[i], text);
}

void copies_add(struct copies *copies, struct bytes text)
{
    if (copies->convert == NULL) {
        add_text(copies, text);
        return;
    }
    buffer_clear(&copies->converted);
    smtp_convert_feed(copies->convert, text, &copies->converted);
    add_text(copies, buffer_bytes(&copies->converted));
}

void copies_finish(struct copies *copies)
{
    if (copies->convert != NULL) {
        buffer_clear(&copies->converted);
        copies->conversion = smtp_convert_finish(copies->convert, &copies->converted);
        add_text(copies, buffer_bytes(&copies->converted));
    }
    copies->mime = smtp_mime_guard_finish(copies->guard);
    for (unsigned i = 0; i < copies->count; i++) {
        buffer_clear(&copies->edited);
        smtp_header_edit_finish(copies->at[i].edit, &copies->edited);
        body_writer_add(copies->at[i].writer, buffer_bytes(&copies->edited));
    }
}

bool copies_full(const struct copies *copies)
{
    for (unsigned i = 0; i < copies->count; i++)
        if (body_writer_full(copies->at[i].writer))
            return true;
    return false;
}

bool copies_loop(const struct copies *copies)
{
    const struct smtp_header_facts *facts = copies_facts(copies);

    for (unsigned i = 0; i < copies->count; i++) {
        uint64_t own = smtp_delivered_to_hash(copies->at[i].forward);
        for (unsigned j = 0; j < facts->delivered_to_count; j++)
            if (copies->at[i].forward.len > 0 && facts->delivered_to[j] == own)
                return true;
    }
    return false;
}

const struct smtp_header_facts *copies_facts(const struct copies *copies)
{
    return smtp_header_edit_facts(copies->at[0].edit);
}

void copies_fini(struct copies *copies)
{
    for (unsigned i = 0; i < copies->count; i++) {
        body_writer_free(&copies->at[i].writer);
        smtp_header_edit_free(&copies->at[i].edit);
        buffer_fini(&copies->at[i].prepend);
        buffer_fini(&copies->at[i].append);
    }
    smtp_mime_guard_free(&copies->guard);
    smtp_convert_free(&copies->convert);
    buffer_fini(&copies->converted);
    buffer_fini(&copies->edited);
    copies->count = 0;
}
