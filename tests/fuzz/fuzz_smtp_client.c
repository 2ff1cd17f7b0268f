/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/utf8.h"
#include "smtp/relay/client.h"

/*
 * A server, a network and a driver that do what the input says, in any order. What must hold:
 * each recipient of a message hears one verdict, before done(); none is DELIVERED without a 2xx
 * that came behind the end of the message, none UNKNOWN unless that was written; the end is
 * written only with leave, behind body_end(), never behind body_failed(); what was written
 * before it is the body; commands are lines; closed() comes once, and nothing behind it.
 *
 * The first byte configures. Then each step is a byte, and for some a few more.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECIPIENTS = 3 };

struct world {
    struct smtp_client *client;
    struct smtp_client_message message;
    unsigned verdicts[RECIPIENTS];
    bool under_way;
    bool ready;
    bool start_tls;
    bool closed;
    bool cut; /* lost() was called */
    /* the body */
    bool body_wanted;
    bool chunked;
    bool body_ended;
    bool body_failed;
    bool allowed;
    bool end_written;
    size_t fed_behind_end;
    struct buffer body; /* what was added */
    struct buffer read; /* what the server makes of it */
    struct buffer line; /* of what is written, so far */
    uint64_t chunk_left;
    bool chunk_last;
};

static const char *const replies[] = {
    "220 mx.test\r\n",
    "250 2.0.0 OK\r\n",
    "250-mx.test\r\n250-SIZE 100\r\n250-DSN\r\n250 PIPELINING\r\n",
    "250-mx.test\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
    "250-mx\r\n250-STARTTLS\r\n250-REQUIRETLS\r\n250-LIMITS RCPTMAX=1\r\n250 DELIVERBY 10\r\n",
    "354 Go\r\n",
    "421 4.3.2 Bye\r\n",
    "450 4.2.0 Later\r\n",
    "550-5.1.1 No\r\n550 5.1.1 user\r\n",
    "552 5.5.3 Many\r\n",
    "500 What\n",
    "221 Bye\r\n",
    "250",
    "-",
    "\r\n",
    "\n",
};

static void end_message_text(struct world *world)
{
    struct bytes body = buffer_bytes(&world->body);
    struct bytes read = buffer_bytes(&world->read);

    CHECK(world->body_ended && world->allowed && !world->body_failed && !world->cut);
    if (body.len > 0 && body.at[body.len - 1] != '\n')
        buffer_add_string(&world->body, "\r\n");
    CHECK(bytes_equal(buffer_bytes(&world->body), read));
    world->end_written = true;
    world->fed_behind_end = 0;
}

static void take_command(struct world *world, struct bytes line)
{
    for (size_t i = 0; i < line.len; i++)
        CHECK(line.at[i] >= ' ');
    if (!bytes_start_nocase(line, BYTES("BDAT ")))
        return;
    CHECK(world->body_wanted && world->chunked && !world->end_written);
    struct bytes rest = bytes_skip(line, 5);
    CHECK(bytes_to_u64(bytes_take_word(&rest), &world->chunk_left));
    world->chunk_last = rest.len > 0;
    if (world->chunk_left == 0) {
        CHECK(world->chunk_last);
        end_message_text(world);
    }
}

static void take_data_line(struct world *world, struct bytes line)
{
    if (bytes_equal(line, BYTES("."))) {
        end_message_text(world);
        return;
    }
    if (line.len > 0 && line.at[0] == '.')
        line = bytes_skip(line, 1);
    buffer_add(&world->read, line);
    buffer_add_string(&world->read, "\r\n");
}

static size_t take_chunk(struct world *world, struct bytes written)
{
    size_t len = written.len < world->chunk_left ? written.len : (size_t)world->chunk_left;

    buffer_add(&world->read, bytes_from(written.at, len));
    world->chunk_left -= len;
    if (world->chunk_left == 0 && world->chunk_last)
        end_message_text(world);
    return len;
}

/* Up to the next LF; only CR LF ends a line. */
static size_t take_line(struct world *world, struct bytes written)
{
    size_t len = bytes_find(written, '\n');

    len += len < written.len;
    buffer_add(&world->line, bytes_from(written.at, len));
    struct bytes line = buffer_bytes(&world->line);
    if (line.len < 2 || memcmp(line.at + line.len - 2, "\r\n", 2) != 0)
        return len;
    line.len -= 2;
    if (world->body_wanted && !world->chunked && !world->end_written)
        take_data_line(world, line);
    else
        take_command(world, line);
    buffer_clear(&world->line);
    return len;
}

static void on_write(void *context, struct bytes bytes)
{
    struct world *world = context;

    CHECK(!world->closed && !world->cut && bytes.len > 0);
    while (bytes.len > 0)
        bytes = bytes_skip(bytes, world->chunk_left > 0 ? take_chunk(world, bytes)
                                                        : take_line(world, bytes));
}

static void on_start_tls(void *context)
{
    struct world *world = context;

    CHECK(!world->closed && !world->start_tls);
    world->start_tls = true;
}

static void on_wait(void *context, uint32_t limit_ms)
{
    const struct world *world = context;

    CHECK(!world->closed && limit_ms <= 10 * 60 * 1000);
}

static void on_ready(void *context)
{
    struct world *world = context;

    CHECK(!world->closed && !world->under_way && smtp_client_is_ready(world->client));
    world->ready = true;
}

static void on_recipient(void *context, unsigned index,
                         const struct smtp_client_verdict *verdict)
{
    struct world *world = context;
    struct bytes text = bytes_of(verdict->text);

    CHECK(world->under_way && index < world->message.recipient_count);
    CHECK(world->verdicts[index]++ == 0);
    if (verdict->result == SMTP_CLIENT_DELIVERED)
        CHECK(world->end_written && world->fed_behind_end >= 4 && verdict->code / 100 == 2);
    if (verdict->result == SMTP_CLIENT_UNKNOWN)
        CHECK(world->end_written);
    CHECK(verdict->code == 0 || (verdict->code >= 200 && verdict->code < 600));
    while (text.len > 0) {
        size_t len = utf8_sequence(text);
        CHECK(len > 0 && text.at[0] >= ' ' && text.at[0] != 0x7F);
        text = bytes_skip(text, len);
    }
}

static void on_body_wanted(void *context)
{
    struct world *world = context;

    CHECK(!world->closed && world->under_way && !world->body_wanted);
    CHECK(buffer_len(&world->line) == 0);
    world->body_wanted = true;
    world->chunked = smtp_client_offers(world->client)->chunking &&
                     smtp_client_offers(world->client)->pipelining;
}

static void on_done(void *context)
{
    struct world *world = context;

    CHECK(!world->closed && world->under_way);
    for (unsigned i = 0; i < world->message.recipient_count; i++)
        CHECK(world->verdicts[i] == 1);
    world->under_way = false;
}

static void on_closed(void *context, enum smtp_client_end end,
                      const struct smtp_client_verdict *verdict)
{
    struct world *world = context;

    CHECK(!world->closed && !world->under_way);
    CHECK(smtp_client_end_name(end) != NULL && strlen(verdict->status) >= 5);
    world->closed = true;
    smtp_client_free(&world->client);
}

static const struct smtp_client_calls calls = {
    on_write, on_start_tls, on_wait, on_ready, on_recipient, on_body_wanted, on_done, on_closed,
};

/* ---- the steps ---- */

struct input {
    struct bytes rest;
};

static uint8_t take_byte(struct input *input)
{
    uint8_t byte = input->rest.len > 0 ? input->rest.at[0] : 0;

    input->rest = bytes_skip(input->rest, 1);
    return byte;
}

static struct bytes take_bytes(struct input *input, size_t len)
{
    struct bytes bytes = {input->rest.at, len < input->rest.len ? len : input->rest.len};

    input->rest = bytes_skip(input->rest, bytes.len);
    return bytes;
}

static void feed(struct world *world, struct bytes bytes)
{
    world->fed_behind_end += world->end_written ? bytes.len : 0;
    smtp_client_feed(world->client, bytes);
}

static void send(struct world *world, uint8_t choice)
{
    static const struct smtp_client_recipient recipients[RECIPIENTS] = {
        {.address = BYTES_INIT("b@y.test"),
         .notify = 2,
         .orcpt = BYTES_INIT("rfc822;b+@y.test")},
        {.address = BYTES_INIT("\xc3\xa9@y.test")},
        {.address = BYTES_INIT("\"c\r\n\"@y.test")},
    };

    if (!world->ready)
        return;
    memset(world->verdicts, 0, sizeof(world->verdicts));
    world->message = (struct smtp_client_message){
        .sender = BYTES("a@x.test"),
        .size = choice & 1 ? 200 : 50,
        .body_8bit = choice & 2,
        .utf8 = choice & 4,
        .require_tls = choice & 8,
        .by_mode = choice & 16 ? SMTP_CLIENT_BY_RETURN : SMTP_CLIENT_BY_NOTIFY,
        .by_seconds = choice,
        .envid = BYTES("id"),
        .recipients = recipients + (choice & 32 ? 1 : 0),
        .recipient_count = choice & 64 ? 1 : 2,
    };
    world->ready = false;
    world->under_way = true;
    world->body_wanted = world->body_ended = world->body_failed = false;
    world->allowed = world->end_written = false;
    buffer_clear(&world->body);
    buffer_clear(&world->read);
    smtp_client_send(world->client, &world->message);
}

static void add_body(struct world *world, struct bytes piece)
{
    if (!world->body_wanted || world->body_ended)
        return;
    /* Behind done() it is ignored, whatever it is. */
    buffer_add(&world->body, piece);
    smtp_client_body_add(world->client, piece);
}

static void add_long_body(struct world *world, uint8_t count)
{
    enum { LINE = 1024 };
    char line[LINE];

    memset(line, '.', sizeof(line));
    line[LINE - 2] = '\r';
    line[LINE - 1] = '\n';
    for (unsigned i = 0; i < count && !world->closed; i++)
        add_body(world, bytes_from(line, sizeof(line)));
}

static void add_chosen_body(struct world *world, uint8_t choice)
{
    static const char *const pieces[] = {"x", ".", "\r\n", "\r", "\n", ".\r\n", "\r\n.", ""};

    add_body(world, bytes_of(pieces[choice % (sizeof(pieces) / sizeof(pieces[0]))]));
}

static void step(struct world *world, struct input *input)
{
    uint8_t what = take_byte(input);
    uint8_t detail = what >> 4;

    switch (what & 15) {
    case 0:
        feed(world, take_bytes(input, take_byte(input)));
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        feed(world, bytes_of(replies[detail]));
        break;
    case 5:
        send(world, take_byte(input));
        break;
    case 6:
        add_chosen_body(world, detail);
        break;
    case 7:
        add_body(world, take_bytes(input, detail));
        break;
    case 8:
        add_long_body(world, (uint8_t)(detail * 8));
        break;
    case 9:
        if (world->body_wanted && !world->body_ended) {
            world->body_ended = true;
            smtp_client_body_end(world->client);
        }
        break;
    case 10:
        world->allowed = detail > 0;
        smtp_client_let_finish(world->client, world->allowed);
        break;
    case 11:
        if (world->start_tls) {
            world->start_tls = false;
            smtp_client_tls_started(world->client, detail & 1);
        }
        break;
    case 12:
        smtp_client_timed_out(world->client);
        break;
    case 13:
        world->ready = false;
        smtp_client_quit(world->client);
        break;
    case 14:
        if (detail < 4) {
            world->body_failed = world->under_way && !world->end_written;
            smtp_client_body_failed(world->client);
        }
        break;
    default:
        if (detail == 0) {
            world->cut = true;
            smtp_client_lost(world->client, "reset\r\n\xff");
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {bytes_from(data, size)};
    struct smtp_client_config config = {.hello = "us.test",
                                        .tls = (enum smtp_client_tls)(take_byte(&input) % 3)};
    struct world world = {.closed = false};

    world.client = smtp_client_new(&config, &calls, &world);
    while (input.rest.len > 0 && !world.closed)
        step(&world, &input);
    if (!world.closed) {
        world.cut = true;
        smtp_client_lost(world.client, "end of input");
        CHECK(world.closed);
    }
    buffer_fini(&world.body);
    buffer_fini(&world.read);
    buffer_fini(&world.line);
    return 0;
}
