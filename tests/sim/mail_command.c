/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations as log entries. Bodies are a few bytes that nobody opens; which message it is, its
 * digest says. */
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "storage/schema/request_id.h"
#include "tests/sim/mail.h"

enum { FRAME_SIZE_USUAL = 200, FRAME_SIZE_LARGE = BODY_FRAME_SIZE_MAX, NAMES = 12 };

static ProtobufCBinaryData field(const void *at, size_t len)
{
    return field_of_bytes(bytes_from(at, len));
}

/* What a proposer's clock says: they differ. */
static uint64_t wall_ms(struct world *world)
{
    return 1800000000000 + world->now_ms + sim_below(world, 20000);
}

static ProtobufCBinaryData random_frame(struct world *world, struct arena *arena)
{
    bool large = world->plan.large && sim_below(world, 50) == 0;
    size_t len = 1 + sim_below(world, large ? FRAME_SIZE_LARGE : FRAME_SIZE_USUAL);

    world->stats->large += large;
    return field(arena_alloc(arena, len), len);
}

static Pr__Body *body_make(struct world *world, struct mail_op *op, struct arena *arena)
{
    Pr__Body *body = arena_alloc(arena, sizeof(*body));
    uint8_t *digest = arena_alloc(arena, 32);

    pr__body__init(body);
    memcpy(digest, op->kind == MAIL_HANDOVER ? &op->of->number : &op->number,
           sizeof(op->number));
    body->digest = field(digest, 32);
    body->summary = field_of_bytes(BYTES("summary"));
    body->block_count = op->blocks;
    body->size =
        (uint64_t)(op->blocks - 1) * BODY_BLOCK_SIZE + 1 + sim_below(world, BODY_BLOCK_SIZE);
    if (op->blocks > BODY_BLOCKS_INLINE_MAX) {
        body->upload_id = field(op->upload_id, sizeof(op->upload_id));
        return body;
    }
    body->n_blocks = op->blocks;
    body->blocks = arena_alloc(arena, op->blocks * sizeof(*body->blocks));
    body->blocks[0] = random_frame(world, arena);
    return body;
}

static Pr__UidRange **ranges_make(const struct mail_op *op, struct arena *arena)
{
    Pr__UidRange **ranges = arena_alloc(arena, MAIL_UIDS_MAX * sizeof(*ranges));

    for (unsigned i = 0; i < op->uid_count; i++) {
        ranges[i] = arena_alloc(arena, sizeof(**ranges));
        pr__uid_range__init(ranges[i]);
        ranges[i]->first = ranges[i]->last = op->uids[i];
    }
    return ranges;
}

static char *random_name(struct world *world, struct arena *arena)
{
    unsigned name = (unsigned)sim_below(world, NAMES);

    if (sim_below(world, 3) != 0)
        return arena_printf(arena, "Folder %u", name);
    return arena_printf(arena, "Folder %u/%u", name, (unsigned)sim_below(world, NAMES));
}

static uint64_t account_id(const struct mail_op *op)
{
    return op->account + 1;
}

/* Now and then, and seldom one that is used up. */
static Pr__AccountQuota *quota_make(struct world *world, struct arena *arena)
{
    Pr__AccountQuota *quota;

    if (sim_below(world, 8) != 0)
        return NULL;
    quota = arena_alloc(arena, sizeof(*quota));
    pr__account_quota__init(quota);
    quota->messages = 1 + sim_below(world, 300);
    return quota;
}

static void handover_add(const struct mail_op *op, struct arena *arena, Pr__Deliver *call)
{
    Pr__Handover *handover = arena_alloc(arena, sizeof(*handover));

    pr__handover__init(handover);
    handover->group = mail_group_number(op->hand_group);
    handover->recipients = arena_alloc(arena, MAIL_ACCOUNTS * sizeof(*handover->recipients));
    for (unsigned i = 0; i < MAIL_ACCOUNTS; i++) {
        Pr__Recipient *recipient;
        if (!(op->hand_recipients >> i & 1))
            continue;
        recipient = arena_alloc(arena, sizeof(*recipient));
        pr__recipient__init(recipient);
        recipient->account_id = i + 1;
        handover->recipients[handover->n_recipients++] = recipient;
    }
    call->handovers = arena_alloc(arena, sizeof(*call->handovers));
    call->handovers[call->n_handovers++] = handover;
}

static void deliver_make(struct world *world, struct mail_op *op, struct arena *arena,
                         Pr__Command *command)
{
    Pr__Deliver *call = arena_alloc(arena, sizeof(*call));

    pr__deliver__init(call);
    call->body = body_make(world, op, arena);
    call->recipients = arena_alloc(arena, MAIL_ACCOUNTS * sizeof(*call->recipients));
    for (unsigned i = 0; i < MAIL_ACCOUNTS; i++) {
        Pr__Recipient *recipient;
        if (!(op->recipients >> i & 1))
            continue;
        recipient = arena_alloc(arena, sizeof(*recipient));
        pr__recipient__init(recipient);
        recipient->account_id = i + 1;
        recipient->mailbox_id = op->mailbox;
        if (op->kind == MAIL_DELIVER) /* what is handed over was accepted before */
            recipient->quota = quota_make(world, arena);
        call->recipients[call->n_recipients++] = recipient;
    }
    if (op->hand_recipients != 0)
        handover_add(op, arena, call);
    command->call_case = PR__COMMAND__CALL_DELIVER;
    command->deliver = call;
}

/* The calls that fit into a few lines each, one after the other. */
#define CALL(name, NAME, type)                                                                 \
    Pr__##type *call = arena_alloc(arena, sizeof(*call));                                      \
    pr__##name##__init(call);                                                                  \
    command->call_case = PR__COMMAND__CALL_##NAME;                                             \
    command->name = call

static void append_make(struct world *world, struct mail_op *op, struct arena *arena,
                        Pr__Command *command)
{
    CALL(append, APPEND, Append);
    call->account_id = account_id(op);
    call->mailbox_id = op->mailbox;
    call->body = body_make(world, op, arena);
    call->flags = op->flags;
    call->quota = quota_make(world, arena);
}

static void upload_make(struct world *world, struct mail_op *op, struct arena *arena,
                        Pr__Command *command)
{
    CALL(upload_block, UPLOAD_BLOCK, UploadBlock);
    call->upload_id = field(op->upload_id, sizeof(op->upload_id));
    call->number = op->block;
    call->data = random_frame(world, arena);
}

static void upload_drop_make(struct world *world, struct mail_op *op, struct arena *arena,
                             Pr__Command *command)
{
    CALL(upload_drop, UPLOAD_DROP, UploadDrop);
    (void)op;
    call->before_ms = wall_ms(world) - 30000;
    call->limit = 3;
}

static void flags_make(struct world *world, struct mail_op *op, struct arena *arena,
                       Pr__Command *command)
{
    CALL(flags_change, FLAGS_CHANGE, FlagsChange);
    static char *const words[] = {"$Forwarded", "$Junk", "later"};
    call->account_id = account_id(op);
    call->mailbox_id = op->mailbox;
    call->uids = ranges_make(op, arena);
    call->n_uids = op->uid_count;
    call->mode = (Pr__FlagsChange__Mode)op->mode;
    call->flags = op->flags;
    if (sim_below(world, 5) == 0) {
        call->keywords = arena_alloc(arena, sizeof(*call->keywords));
        call->keywords[call->n_keywords++] = words[sim_below(world, 3)];
    }
    call->unchanged_since_given = sim_below(world, 4) == 0;
    call->unchanged_since =
        mail_floor(&mail_mailbox(mail_account(world, op), op->mailbox)->modseq, op->begun);
}

static void copy_make(struct world *world, struct mail_op *op, struct arena *arena,
                      Pr__Command *command)
{
    CALL(copy, COPY, Copy);
    (void)world;
    call->account_id = account_id(op);
    call->mailbox_id = op->mailbox;
    call->uids = ranges_make(op, arena);
    call->n_uids = op->uid_count;
    call->target_mailbox_id = op->target;
    call->move = op->kind == MAIL_MOVE;
}

static void expunge_make(struct world *world, struct mail_op *op, struct arena *arena,
                         Pr__Command *command)
{
    CALL(expunge, EXPUNGE, Expunge);
    call->account_id = account_id(op);
    call->mailbox_id = op->mailbox;
    call->uids = ranges_make(op, arena);
    call->n_uids = op->uid_count;
    call->keep = sim_below(world, 2) == 0;
}

static void create_make(struct world *world, struct mail_op *op, struct arena *arena,
                        Pr__Command *command)
{
    CALL(mailbox_create, MAILBOX_CREATE, MailboxCreate);
    call->account_id = account_id(op);
    call->name = random_name(world, arena);
}

static void delete_make(struct world *world, struct mail_op *op, struct arena *arena,
                        Pr__Command *command)
{
    CALL(mailbox_delete, MAILBOX_DELETE, MailboxDelete);
    call->account_id = account_id(op);
    call->mailbox_id = op->mailbox;
    call->keep = sim_below(world, 2) == 0;
}

static void rename_make(struct world *world, struct mail_op *op, struct arena *arena,
                        Pr__Command *command)
{
    CALL(mailbox_rename, MAILBOX_RENAME, MailboxRename);
    call->account_id = account_id(op);
    call->mailbox_id = op->mailbox;
    call->name = random_name(world, arena);
}

static void subscribe_make(struct world *world, struct mail_op *op, struct arena *arena,
                           Pr__Command *command)
{
    CALL(mailbox_subscribe, MAILBOX_SUBSCRIBE, MailboxSubscribe);
    call->account_id = account_id(op);
    call->name = random_name(world, arena);
    call->subscribed = sim_below(world, 2) == 0;
}

static void purge_make(struct world *world, struct mail_op *op, struct arena *arena,
                       Pr__Command *command)
{
    CALL(account_purge, ACCOUNT_PURGE, AccountPurge);
    call->account_id = account_id(op);
    call->limit = 1 + (uint32_t)sim_below(world, 200);
}

static void cancel_make(struct world *world, struct mail_op *op, struct arena *arena,
                        Pr__Command *command)
{
    CALL(cancel, CANCEL, Cancel);
    (void)world;
    call->cancelled_id = field(op->of->request_id, sizeof(op->of->request_id));
}

static void handed_make(struct world *world, struct mail_op *op, struct arena *arena,
                        Pr__Command *command)
{
    CALL(handover_done, HANDOVER_DONE, HandoverDone);
    (void)world;
    call->handover_id = op->handover;
}

static void format_make(struct world *world, struct mail_op *op, struct arena *arena,
                        Pr__Command *command)
{
    CALL(format_raise, FORMAT_RAISE, FormatRaise);
    (void)world;
    (void)op;
    call->format = FORMAT_NEWEST;
}

static void undelete_make(struct world *world, struct mail_op *op, struct arena *arena,
                          Pr__Command *command)
{
    CALL(undelete, UNDELETE, Undelete);
    static char elsewhere[] = "Back again";
    call->account_id = account_id(op);
    call->messages = arena_alloc(arena, op->uid_count * sizeof(*call->messages));
    for (unsigned i = 0; i < op->uid_count; i++) {
        Pr__ExpungedId *id = arena_alloc(arena, sizeof(*id));
        pr__expunged_id__init(id);
        id->time_ms = op->expunged_ms[i];
        id->mailbox_id = op->mailbox;
        id->uid = op->uids[i];
        call->messages[call->n_messages++] = id;
    }
    if (sim_below(world, 4) == 0)
        call->to = elsewhere;
}

static void forget_make(struct world *world, struct mail_op *op, struct arena *arena,
                        Pr__Command *command)
{
    CALL(expunged_purge, EXPUNGED_PURGE, ExpungedPurge);
    call->account_id = sim_below(world, 2) == 0 ? account_id(op) : 0;
    call->before_ms = wall_ms(world) - sim_below(world, 20000);
    call->limit = 1 + (uint32_t)sim_below(world, 50);
}

static void (*const makers[MAIL_KINDS])(struct world *world, struct mail_op *op,
                                        struct arena *arena, Pr__Command *command) = {
    [MAIL_DELIVER] = deliver_make,  [MAIL_APPEND] = append_make,
    [MAIL_UPLOAD] = upload_make,    [MAIL_UPLOAD_DROP] = upload_drop_make,
    [MAIL_FLAGS] = flags_make,      [MAIL_COPY] = copy_make,
    [MAIL_MOVE] = copy_make,        [MAIL_EXPUNGE] = expunge_make,
    [MAIL_CREATE] = create_make,    [MAIL_DELETE] = delete_make,
    [MAIL_RENAME] = rename_make,    [MAIL_SUBSCRIBE] = subscribe_make,
    [MAIL_PURGE] = purge_make,      [MAIL_CANCEL] = cancel_make,
    [MAIL_HANDOVER] = deliver_make, [MAIL_HANDED] = handed_make,
    [MAIL_FORMAT] = format_make,    [MAIL_UNDELETE] = undelete_make,
    [MAIL_FORGET] = forget_make,
};

void mail_command(struct world *world, struct mail_op *op)
{
    Pr__Command command = PR__COMMAND__INIT;
    struct arena arena;

    arena_init(&arena);
    command.time_ms = wall_ms(world);
    makers[op->kind](world, op, &arena, &command);
    if (op->has_id) {
        uint8_t random[10] = {0};
        struct request_id id;
        memcpy(random, &op->number, sizeof(op->number));
        id = request_id_make(command.time_ms, random);
        if (op->kind == MAIL_HANDOVER)
            memcpy(id.bytes, op->of->request_id, sizeof(id.bytes));
        memcpy(op->request_id, id.bytes, sizeof(op->request_id));
        command.request_id = field(op->request_id, sizeof(op->request_id));
    }
    entry_encode(&command, &op->entry);
    arena_fini(&arena);
}
