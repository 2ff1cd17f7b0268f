/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a relay asks of the queue, and says of it: from a submission to the last verdict. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/client/body_block.h"
#include "storage/service/relay_calls.h"
#include "storage/service/smtp_calls.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/smtp_lab.h"

enum { RELAY = 11, TEXT_SIZE = BODY_BLOCK_SIZE + 1000, LEASE = 77 };

#define lab world.lab

/* As CALL, for longer than the block that it stands in. */
#define KEEP(type, name, ...) keep(CALL(type, name, __VA_ARGS__), sizeof(Pr__##type))

static void *keep(const void *message, size_t size)
{
    return memcpy(arena_alloc(&lab->arena, size), message, size);
}

static uint8_t text[TEXT_SIZE];
static uint32_t group;

static void text_make(void)
{
    uint32_t random = 1;

    for (size_t i = 0; i < TEXT_SIZE; i++) {
        random = random * 1103515245 + 12345;
        text[i] = (uint8_t)(random >> 24);
    }
}

/* Of two blocks, which the session's front end has handed in. */
static Pr__Body *body_of_two(void)
{
    Pr__Body *body = lab_body(lab, BYTES(""), TEXT_SIZE);
    struct body_codec *codec = body_codec_new();
    ProtobufCBinaryData id = lab_id(lab);

    text_make();
    for (uint32_t i = 0; i < 2; i++) {
        struct buffer frame = BUFFER_EMPTY;
        size_t at = i * (size_t)BODY_BLOCK_SIZE;
        size_t len = i == 0 ? BODY_BLOCK_SIZE : TEXT_SIZE - at;
        Pr__Request *request = calls_request(PR__REQUEST__CALL_UPLOAD);
        body_block_compress(codec, bytes_from(text + at, len), &frame);
        request->session = smtp_lab_session;
        request->upload = CALL(UploadCall, upload_call, .upload_id = id, .number = i,
                               .data = lab_field(lab, buffer_bytes(&frame)));
        assert_int_equal(calls_ask(ROLE_SMTP, HERE, request, smtp_upload), ERR_OK);
        buffer_fini(&frame);
    }
    body_codec_free(&codec);
    body->n_blocks = 0;
    body->block_count = 2;
    body->upload_id = id;
    return body;
}

/* To two people of one host and one of another. */
static void submit(Pr__Body *body)
{
    struct smtp_lab_delivery made = smtp_lab_delivery(smtp_lab_session, "ann@acme.example");

    if (body != NULL)
        made.call->body = body;
    smtp_lab_out(&made, "a@far.example", "");
    smtp_lab_out(&made, "c@near.example", "");
    smtp_lab_out(&made, "b@Far.example", "");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    group = directory_lab_account_of(lab, "ann@acme.example")->group;
}

/* ---- what a relay asks ---- */

static const Pr__QueueLanesAnswer *lanes(uint64_t until_ms)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_QUEUE_LANES);

    request->queue_lanes = CALL(QueueLanes, queue_lanes, .group = group, .until_ms = until_ms);
    assert_int_equal(calls_ask(ROLE_RELAY, RELAY, request, relay_read_call), ERR_OK);
    assert_true(smtp_lab_fresh);
    return heard.reply->queue_lanes;
}

static const Pr__QueueReadAnswer *read_lane(const char *domain, uint64_t until_ms)
{
    const Pr__QueueLanesAnswer *all = lanes(until_ms);
    Pr__Request *request = calls_request(PR__REQUEST__CALL_QUEUE_READ);

    request->queue_read = CALL(QueueRead, queue_read, .group = group, .until_ms = until_ms);
    for (size_t i = 0; i < all->n_lanes; i++)
        if (strcmp(all->lanes[i]->domain, domain) == 0)
            request->queue_read->lane = all->lanes[i];
    if (request->queue_read->lane == NULL)
        return NULL;
    assert_int_equal(calls_ask(ROLE_RELAY, RELAY, request, relay_read_call), ERR_OK);
    assert_true(smtp_lab_fresh);
    return heard.reply->queue_read;
}

static enum err read_body(uint64_t id, uint64_t offset)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_QUEUE_BODY);

    request->queue_body =
        CALL(QueueBody, queue_body, .group = group, .id = id, .offset = offset);
    return calls_ask(ROLE_RELAY, RELAY, request, relay_read_call);
}

static const Pr__Outcome *queue_write(Pr__QueueWrite *asked)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_QUEUE_WRITE);

    asked->group = group;
    request->queue_write = asked;
    assert_int_equal(calls_ask(ROLE_RELAY, RELAY, request, relay_write_call), ERR_OK);
    return heard.reply->outcome;
}

static Pr__QueueItem *item(uint64_t id, uint32_t destination)
{
    return KEEP(QueueItem, queue_item, .id = id, .destination = destination);
}

static const Pr__Outcome *lease(uint64_t id, uint32_t destination)
{
    Pr__QueueLeaseItem *one =
        CALL(QueueLeaseItem, queue_lease_item, .item = item(id, destination));

    return queue_write(CALL(QueueWrite, queue_write,
                            .command_case = PR__QUEUE_WRITE__COMMAND_LEASE,
                            .lease = CALL(QueueLease, queue_lease, .lease = LEASE, .node_id = 1,
                                          .lease_ms = 20000, .n_items = 1, .items = &one)));
}

static const Pr__Outcome *report(uint64_t id, uint32_t destination, size_t count,
                                 Pr__QueueVerdict **verdicts)
{
    Pr__QueueAttempt *one =
        CALL(QueueAttempt, queue_attempt, .item = item(id, destination), .lease = LEASE,
             .counts = true, .retry_ms = 60000, .n_verdicts = count, .verdicts = verdicts);

    return queue_write(
        CALL(QueueWrite, queue_write, .command_case = PR__QUEUE_WRITE__COMMAND_REPORT,
             .report = CALL(QueueReport, queue_report, .n_attempts = 1, .attempts = &one)));
}

static char *words(const char *said)
{
    return arena_string(&lab->arena, bytes_of(said));
}

static Pr__QueueVerdict *verdict(uint32_t recipient, Pr__QueueRecipient__State state, bool tell)
{
    return KEEP(QueueVerdict, queue_verdict, .recipient = recipient, .state = state,
                .status = words("2.0.0"), .reply = words("250 so it is"),
                .remote = words("mx.far.example [192.0.2.1]"), .tell = tell);
}

static void test_to_the_end(void **state)
{
    (void)state;
    submit(body_of_two());
    const Pr__QueueLanesAnswer *all = lanes(UINT64_MAX);
    assert_int_equal(all->n_lanes, 2);
    assert_int_equal(all->lanes[0]->tenant_id, 1);
    uint64_t clock_ms = all->clock_ms;
    world_run(world.now_ms + 1000); /* as a command of now would see it */
    assert_int_equal(lanes(UINT64_MAX)->clock_ms, clock_ms + 1000);

    const Pr__QueueReadAnswer *far = read_lane("far.example", UINT64_MAX);
    assert_int_equal(far->n_messages, 1);
    assert_int_equal(far->messages[0]->n_recipients, 2);
    assert_string_equal(far->messages[0]->envelope->sender, "ann@acme.example");
    uint64_t id = far->messages[0]->id;
    uint32_t place = far->messages[0]->destinations[0]->number;
    uint32_t first = far->messages[0]->recipients[0]->number;
    uint32_t second = far->messages[0]->recipients[1]->number;

    const Pr__Outcome *outcome = lease(id, place);
    assert_int_equal(outcome->n_queue_items, 1);
    assert_int_equal(outcome->queue_items[0]->id, id);
    assert_null(read_lane("far.example", lab->now_ms)); /* until the lease ends */
    report(id, place, 2,
           (Pr__QueueVerdict *[]){verdict(first, PR__QUEUE_RECIPIENT__STATE__DELIVERED, false),
                                  verdict(second, PR__QUEUE_RECIPIENT__STATE__FAILED, true)});
    assert_null(read_lane("far.example", UINT64_MAX));

    const Pr__QueueReadAnswer *owed = read_lane("", UINT64_MAX);
    assert_int_equal(owed->n_messages, 1);
    assert_int_equal(owed->messages[0]->n_recipients, 1);
    assert_int_equal(owed->messages[0]->recipients[0]->number, second);
    queue_write(
        CALL(QueueWrite, queue_write, .command_case = PR__QUEUE_WRITE__COMMAND_TOLD,
             .told = CALL(QueueTold, queue_told, .id = id, .notice = owed->messages[0]->notices,
                          .n_recipients = 1, .recipients = &second)));
    assert_null(read_lane("", UINT64_MAX));
    assert_int_equal(smtp_lab_queued(), 1);

    const Pr__QueueReadAnswer *near = read_lane("near.example", UINT64_MAX);
    assert_int_equal(near->n_messages, 1);
    place = near->messages[0]->destinations[0]->number;
    first = near->messages[0]->recipients[0]->number;
    lease(id, place);
    report(id, place, 1,
           (Pr__QueueVerdict *[]){verdict(first, PR__QUEUE_RECIPIENT__STATE__RELAYED, false)});
    assert_int_equal(smtp_lab_queued(), 0);
    assert_int_equal(read_body(id, 0), ERR_NOTFOUND);
}

/* ---- bodies ---- */

static void test_body(void **state)
{
    uint64_t offset = 0;
    unsigned asked = 0;

    (void)state;
    submit(body_of_two());
    for (;; asked++) {
        assert_int_equal(read_body(1, offset), ERR_OK);
        const Pr__QueueBodyAnswer *answer = heard.reply->queue_body;
        assert_false(smtp_lab_fresh); /* this replica has shown it */
        assert_int_equal(answer->size, TEXT_SIZE);
        if (answer->data.len == 0)
            break;
        assert_true(offset + answer->data.len <= TEXT_SIZE);
        assert_memory_equal(answer->data.data, text + offset, answer->data.len);
        offset += answer->data.len;
    }
    assert_int_equal(offset, TEXT_SIZE);
    assert_int_equal(asked, 2);
    assert_int_equal(read_body(1, BODY_BLOCK_SIZE - 3), ERR_OK); /* to the end of the block */
    assert_int_equal(heard.reply->queue_body->data.len, 3);
    assert_memory_equal(heard.reply->queue_body->data.data, text + BODY_BLOCK_SIZE - 3, 3);
    assert_int_equal(read_body(1, UINT64_MAX), ERR_OK);
    assert_int_equal(heard.reply->queue_body->data.len, 0);
    assert_int_equal(read_body(2, 0), ERR_NOTFOUND);
}

/* Nothing of a message is sent that cannot be read whole. */
static void test_damaged(void **state)
{
    (void)state;
    submit(NULL); /* its block is no zstd frame */
    assert_int_equal(read_body(1, 0), ERR_MALFORMED);
    assert_int_equal(read_body(1, 3), ERR_MALFORMED);
    assert_int_equal(read_body(1, 4), ERR_OK);
}

static void test_odd(void **state)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_QUEUE_WRITE);

    (void)state;
    submit(NULL);
    request->queue_write = CALL(QueueWrite, queue_write, .group = group);
    assert_int_equal(calls_ask(ROLE_RELAY, RELAY, request, relay_write_call), ERR_INVALID);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t none = i == 0 ? DIRECTORY_GROUP : 1000;
        request = calls_request(PR__REQUEST__CALL_QUEUE_WRITE);
        request->queue_write = CALL(QueueWrite, queue_write, .group = none,
                                    .command_case = PR__QUEUE_WRITE__COMMAND_TOLD,
                                    .told = CALL(QueueTold, queue_told, .id = 1));
        assert_int_equal(calls_ask(ROLE_RELAY, RELAY, request, relay_write_call), ERR_NOTFOUND);
        group = none;
        assert_int_equal(read_body(1, 0), ERR_NOTFOUND);
        request = calls_request(PR__REQUEST__CALL_QUEUE_LANES);
        request->queue_lanes = CALL(QueueLanes, queue_lanes, .group = none);
        assert_int_equal(calls_ask(ROLE_RELAY, RELAY, request, relay_read_call), ERR_NOTFOUND);
        request = calls_request(PR__REQUEST__CALL_QUEUE_READ);
        request->queue_read = CALL(QueueRead, queue_read, .group = none);
        assert_int_equal(calls_ask(ROLE_RELAY, RELAY, request, relay_read_call), ERR_NOTFOUND);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, smtp_lab_begin, smtp_lab_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_to_the_end),
        TEST(test_body),
        TEST(test_damaged),
        TEST(test_odd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
