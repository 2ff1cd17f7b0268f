/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/client/body_writer.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/arena.h"
#include "node/base/check.h"
#include "node/mail/summary.h"
#include "storage/client/body_block.h"
#include "storage/schema/entry.h"

#define DIGEST_SIZE 32

struct body_writer {
    struct store_client *client;
    uint64_t session;
    uint64_t account_id;
    uint32_t group; /* with neither session nor account */
    unsigned deadline_ms;

    struct mail_scanner *scanner;
    crypto_generichash_state hash;
    struct buffer plain; /* not yet cut into a block */
    uint64_t size;

    struct request_id upload_id;
    struct buffer frame;    /* the block under way, or the only one */
    uint32_t blocks_cut;    /* block numbers given out */
    uint64_t upload_ticket; /* 0: no call under way */
    enum err err;           /* the first upload that failed */
    bool uploading;         /* some block has been sent */
    bool used;

    void (*drained)(void *context);
    void *drained_context;
    bool finishing;
    void (*finished)(void *context, enum err err, Pr__Body *body);
    void *finished_context;
    struct loop_timer *finish_timer;

    struct arena body_arena;
    struct mail_summary summary;
    Pr__Body body;
    ProtobufCBinaryData only_block;
    uint8_t digest[DIGEST_SIZE];
};

static void on_finish(void *context);
static void advance(struct body_writer *writer);

struct body_writer *body_writer_new(struct store_client *client, uint64_t session,
                                    uint64_t account_id, unsigned deadline_ms)
{
    struct body_writer *writer = calloc(1, sizeof(*writer));
    CHECK(writer != NULL);
    writer->client = client;
    writer->session = session;
    writer->account_id = account_id;
    writer->deadline_ms = deadline_ms;
    writer->scanner = mail_scanner_new();
    writer->upload_id = store_request_id();
    crypto_generichash_init(&writer->hash, NULL, 0, DIGEST_SIZE);
    arena_init(&writer->body_arena);
    return writer;
}

void body_writer_to_group(struct body_writer *writer, uint32_t group)
{
    CHECK(writer->session == 0 && writer->account_id == 0);
    writer->group = group;
}

static ProtobufCBinaryData upload_id(struct body_writer *writer)
{
    return (ProtobufCBinaryData){.data = writer->upload_id.bytes, .len = REQUEST_ID_SIZE};
}

static void on_aborted(void *context, enum err err, const Pr__Reply *reply)
{
    (void)context;
    (void)err;
    (void)reply; /* if it was lost, the store drops old uploads by itself */
}

static void abort_upload(struct body_writer *writer)
{
    Pr__UploadAbort call = PR__UPLOAD_ABORT__INIT;
    Pr__Request request = PR__REQUEST__INIT;

    call.account_id = writer->account_id;
    call.group = writer->group;
    call.upload_id = upload_id(writer);
    request.session = writer->session;
    request.call_case = PR__REQUEST__CALL_UPLOAD_ABORT;
    request.upload_abort = &call;
    store_call(writer->client, &request, writer->deadline_ms, on_aborted, NULL);
}

void body_writer_free(struct body_writer **writer)
{
    if (*writer == NULL)
        return;
    loop_timer_stop(&(*writer)->finish_timer);
    store_cancel((*writer)->client, (*writer)->upload_ticket);
    if ((*writer)->uploading && !(*writer)->used)
        abort_upload(*writer);
    mail_scanner_free(&(*writer)->scanner);
    buffer_fini(&(*writer)->plain);
    buffer_fini(&(*writer)->frame);
    arena_fini(&(*writer)->body_arena);
    free(*writer);
    *writer = NULL;
}

static void on_uploaded(void *context, enum err err, const Pr__Reply *reply)
{
    struct body_writer *writer = context;
    bool was_full = body_writer_full(writer);

    writer->upload_ticket = 0;
    if (err == ERR_OK)
        err = (enum err)reply->err;
    if (writer->err == ERR_OK)
        writer->err = err;
    advance(writer);
    if (was_full && !body_writer_full(writer) && writer->drained != NULL)
        writer->drained(writer->drained_context);
}

static void upload_frame(struct body_writer *writer)
{
    Pr__UploadCall call = PR__UPLOAD_CALL__INIT;
    Pr__Request request = PR__REQUEST__INIT;

    call.account_id = writer->account_id;
    call.group = writer->group;
    call.upload_id = upload_id(writer);
    call.number = writer->blocks_cut - 1;
    call.data = field_of_bytes(buffer_bytes(&writer->frame));
    request.session = writer->session;
    request.call_case = PR__REQUEST__CALL_UPLOAD;
    request.upload = &call;
    writer->uploading = true;
    writer->upload_ticket =
        store_call(writer->client, &request, writer->deadline_ms, on_uploaded, writer);
    buffer_clear(&writer->frame); /* it was packed: once in memory is enough while it is sent */
}

/* Cuts a block of at most BODY_BLOCK_SIZE off the plain bytes. */
static void cut_block(struct body_writer *writer)
{
    struct bytes plain = buffer_bytes(&writer->plain);

    if (plain.len > BODY_BLOCK_SIZE)
        plain.len = BODY_BLOCK_SIZE;
    body_block_compress(store_client_codec(writer->client), plain, &writer->frame);
    buffer_drop(&writer->plain, plain.len);
    writer->blocks_cut++;
}

/* Sends the next block when nothing is under way; the last only once the body has ended. */
static void advance(struct body_writer *writer)
{
    if (writer->upload_ticket != 0)
        return;
    if (writer->err != ERR_OK) {
        buffer_clear(&writer->plain);
    } else if (buffer_len(&writer->plain) > BODY_BLOCK_SIZE ||
               (writer->finishing && buffer_len(&writer->plain) > 0 && writer->uploading)) {
        if (writer->blocks_cut == BODY_BLOCKS_MAX) {
            writer->err = ERR_TOOBIG;
            return;
        }
        cut_block(writer);
        upload_frame(writer);
        return;
    }
    if (writer->finishing && writer->finish_timer == NULL)
        writer->finish_timer =
            loop_timer_start(store_client_loop(writer->client), 0, 0, on_finish, writer);
}

void body_writer_add(struct body_writer *writer, struct bytes plain)
{
    CHECK(!writer->finishing);
    writer->size += plain.len;
    mail_scanner_feed(writer->scanner, plain);
    crypto_generichash_update(&writer->hash, plain.at, plain.len);
    if (writer->err != ERR_OK)
        return;
    buffer_add(&writer->plain, plain);
    advance(writer);
}

bool body_writer_full(const struct body_writer *writer)
{
    return writer->upload_ticket != 0 && buffer_len(&writer->plain) >= BODY_BLOCK_SIZE;
}

void body_writer_on_drained(struct body_writer *writer, void (*drained)(void *context),
                            void *context)
{
    writer->drained = drained;
    writer->drained_context = context;
}

uint64_t body_writer_size(const struct body_writer *writer)
{
    return writer->size;
}

void body_writer_finish(struct body_writer *writer,
                        void (*finished)(void *context, enum err err, Pr__Body *body),
                        void *context)
{
    CHECK(!writer->finishing);
    writer->finishing = true;
    writer->finished = finished;
    writer->finished_context = context;
    mail_scanner_finish(writer->scanner, &writer->body_arena, &writer->summary);
    crypto_generichash_final(&writer->hash, writer->digest, DIGEST_SIZE);
    advance(writer);
}

static void on_finish(void *context)
{
    struct body_writer *writer = context;
    Pr__Body *body = &writer->body;

    writer->finish_timer = NULL;
    if (writer->err != ERR_OK) {
        writer->finished(writer->finished_context, writer->err, NULL);
        return;
    }
    pr__body__init(body);
    if (writer->uploading) {
        body->upload_id = upload_id(writer);
    } else {
        cut_block(writer);
        writer->only_block = field_of_bytes(buffer_bytes(&writer->frame));
        body->blocks = &writer->only_block;
        body->n_blocks = 1;
    }
    body->size = writer->size;
    body->block_count = writer->blocks_cut;
    body->digest = (ProtobufCBinaryData){.data = writer->digest, .len = DIGEST_SIZE};
    body->summary = field_of_bytes(mail_summary_encode(&writer->summary, &writer->body_arena));
    writer->finished(writer->finished_context, ERR_OK, body);
}

void body_writer_used(struct body_writer *writer)
{
    writer->used = true;
}

const struct mail_summary *body_writer_summary(const struct body_writer *writer)
{
    return &writer->summary;
}
