/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/imap/lab.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "storage/schema/entry.h"

enum { WAIT_ROUNDS = 2000, WAIT_MS = 5 };

static void reply(struct rpc_request *request, const Pr__Reply *answer)
{
    struct buffer packed = BUFFER_EMPTY;

    message_pack(&answer->base, &packed);
    rpc_reply(request, buffer_bytes(&packed));
    buffer_fini(&packed);
}

static void answer_watch(struct lab *lab)
{
    Pr__Reply answer = PR__REPLY__INIT;
    Pr__WatchAnswer watch = PR__WATCH_ANSWER__INIT;
    Pr__WatchEvent event = PR__WATCH_EVENT__INIT;
    Pr__WatchEvent *events = &event;

    if (lab->watch == NULL)
        return;
    event.session = 77;
    event.highest_modseq = lab->store.modseq;
    watch.events = &events;
    watch.n_events = 1;
    answer.answer_case = PR__REPLY__ANSWER_WATCH;
    answer.watch = &watch;
    reply(lab->watch, &answer);
    lab->watch = NULL;
}

/* Without its server a reply does nothing but free the request. */
static void forget_watch(struct lab *lab)
{
    if (lab->watch != NULL)
        rpc_reply(lab->watch, (struct bytes){NULL, 0});
    lab->watch = NULL;
}

/* The blocks, expanded, as the store in arrays wants them: at `digest`. */
static void gather_body(struct lab *lab, Pr__Append *append)
{
    for (size_t i = 0; i < append->body->n_blocks; i++)
        CHECK(body_block_expand(
                  lab->store.codec,
                  bytes_from(append->body->blocks[i].data, append->body->blocks[i].len),
                  &lab->uploaded) == ERR_OK);
    append->body->digest = field_of_bytes(buffer_bytes(&lab->uploaded));
}

static void answer_settings(struct lab *lab, struct rpc_request *request,
                            const Pr__SettingsRead *call)
{
    Pr__Reply answer = PR__REPLY__INIT;
    Pr__SettingsReadAnswer settings = PR__SETTINGS_READ_ANSWER__INIT;
    Pr__Setting issuer = PR__SETTING__INIT;
    Pr__Setting *rows = &issuer;
    char name[] = "oauth.issuer";
    char value[] = "https://issuer.test";

    issuer.name = name;
    issuer.value = value;
    settings.version = 1;
    settings.settings = &rows;
    settings.n_settings = 1;
    answer.answer_case = PR__REPLY__ANSWER_SETTINGS_READ;
    answer.settings_read = &settings;
    answer.err = call->version == 0 ? ERR_OK : ERR_UNAVAILABLE;
    lab->settings_calls++;
    reply(request, &answer);
}

static void answer_firewall(struct lab *lab, struct rpc_request *request,
                            const Pr__FirewallRead *call)
{
    Pr__Reply answer = PR__REPLY__INIT;
    Pr__FirewallReadAnswer list = PR__FIREWALL_READ_ANSWER__INIT;
    Pr__FirewallEntry entry = PR__FIREWALL_ENTRY__INIT;
    Pr__FirewallEntry *rows = &entry;
    char net[] = "192.0.2.66/32";

    entry.net = net;
    entry.action = PR__FIREWALL_ACTION__FIREWALL_DENY;
    list.version = 1;
    list.entries = &rows;
    list.n_entries = 1;
    answer.answer_case = PR__REPLY__ANSWER_FIREWALL_READ;
    answer.firewall_read = &list;
    answer.err = call->version == 0 ? ERR_OK : ERR_UNAVAILABLE;
    lab->firewall_calls++;
    reply(request, &answer);
}

static void on_request(void *context, struct rpc_request *request, const struct rpc_peer *peer,
                       struct bytes body)
{
    struct lab *lab = context;
    struct arena arena;
    ProtobufCAllocator allocator = arena_allocator(&arena);
    Pr__Reply nothing = PR__REPLY__INIT;

    (void)peer;
    arena_init(&arena);
    Pr__Request *call = pr__request__unpack(&allocator, body.len, body.at);
    CHECK(call != NULL);
    if (call->call_case == PR__REQUEST__CALL_WATCH) {
        forget_watch(lab);
        lab->watch = request;
    } else if (call->call_case == PR__REQUEST__CALL_AUTH_STEP && lab->holds_logins) {
        lab->held = request;
    } else if (call->call_case == PR__REQUEST__CALL_SETTINGS_READ) {
        answer_settings(lab, request, call->settings_read);
    } else if (call->call_case == PR__REQUEST__CALL_FIREWALL_READ) {
        answer_firewall(lab, request, call->firewall_read);
    } else if (call->call_case == PR__REQUEST__CALL_FIREWALL_REPORT) {
        lab->reports++;
        reply(request, &nothing);
    } else if (call->call_case == PR__REQUEST__CALL_LOGOUT) {
        lab->logouts++;
        reply(request, &nothing);
    } else if (call->call_case == PR__REQUEST__CALL_UPLOAD) {
        CHECK(body_block_expand(lab->store.codec,
                                bytes_from(call->upload->data.data, call->upload->data.len),
                                &lab->uploaded) == ERR_OK);
        reply(request, &nothing);
    } else {
        if (call->call_case == PR__REQUEST__CALL_APPEND)
            gather_body(lab, call->append);
        reply(request, fake_store_answer(&lab->store, call, &arena));
        if (call->call_case == PR__REQUEST__CALL_APPEND)
            buffer_clear(&lab->uploaded);
    }
    arena_fini(&arena);
}

static void listen_on(struct lab *lab, int which)
{
    static const struct address_prefix here = {
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127}}, 104};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0 && listen(fd, 64) == 0);
    lab->ports[which] = ntohs(address.sin_port);
    lab->listeners[which] =
        conn_listen(lab->loop, fd, &imap_server_protocol, lab->server, lab->tls,
                    which == LAB_IMPLICIT, &conn_limits_default, BYTES("* BYE\r\n"));
    if (which == LAB_PROXY)
        conn_listener_expect_proxy(lab->listeners[which], &here, 1);
}

static void *run(void *context)
{
    struct lab *lab = context;

    loop_run(lab->loop);
    return NULL;
}

void lab_start(struct lab *lab)
{
    struct arena arena;
    struct bytes certificate;
    struct bytes key;

    *lab = (struct lab){.uploaded = BUFFER_EMPTY};
    fake_store_init(&lab->store);
    fake_store_deliver(&lab->store, 1, BYTES("Subject: first\r\n\r\nhello\r\n"), 0);
    lab->loop = loop_new();
    snprintf(lab->url, sizeof(lab->url), "ipc:///tmp/postraft-imap-test-%d.sock", getpid());
    const struct rpc_server_config rpc = {
        .url = lab->url,
        .parallel_max = 16,
        .uid = UINT32_MAX,
        .ipc_mode = 0600,
        .handle = on_request,
        .context = lab,
    };
    CHECK(rpc_server_new(lab->loop, &rpc, &lab->rpc) == ERR_OK);
    const struct imap_server_config config = {
        .hostname = "imap.test",
        .store_url = lab->url,
        .append_size_max = 10 * 1000 * 1000,
        .can_tls = true,
        .login_failures_max = 3,
    };
    CHECK(imap_server_new(lab->loop, &config, &lab->server) == ERR_OK);
    arena_init(&arena);
    tls_self_signed("imap.test", &arena, &certificate, &key);
    CHECK(tls_context_new(certificate, key, &lab->tls) == ERR_OK);
    arena_fini(&arena);
    for (int which = 0; which < LAB_PORTS; which++)
        listen_on(lab, which);
    CHECK(pthread_create(&lab->thread, NULL, run, lab) == 0);
}

static void on_stopped(void *context)
{
    struct lab *lab = context;

    lab->stopped = true;
}

void lab_stop(struct lab *lab)
{
    for (int which = 0; which < LAB_PORTS; which++)
        conn_listener_close(&lab->listeners[which]);
    imap_server_stop(lab->server, on_stopped, lab);
}

static bool is_stopped(struct lab *lab)
{
    return lab->stopped;
}

static void end_loop(struct lab *lab)
{
    loop_stop(lab->loop);
}

void lab_end(struct lab *lab)
{
    if (lab->listeners[LAB_PLAIN] != NULL)
        lab_do(lab, lab_stop);
    lab_wait(lab, is_stopped);
    lab_do(lab, end_loop);
    CHECK(pthread_join(lab->thread, NULL) == 0);
    imap_server_free(&lab->server);
    rpc_server_free(&lab->rpc);
    forget_watch(lab);
    loop_free(&lab->loop);
    tls_context_free(&lab->tls);
    fake_store_fini(&lab->store);
    buffer_fini(&lab->uploaded);
}

struct order {
    struct lab *lab;
    void (*call)(struct lab *lab);
    bool (*reached)(struct lab *lab);
    bool result;
    bool done;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

static void carry_out(void *context)
{
    struct order *order = context;

    if (order->call != NULL)
        order->call(order->lab);
    else
        order->result = order->reached(order->lab);
    pthread_mutex_lock(&order->lock);
    order->done = true;
    pthread_cond_signal(&order->changed);
    pthread_mutex_unlock(&order->lock);
}

static bool give_order(struct lab *lab, void (*call)(struct lab *lab),
                       bool (*reached)(struct lab *lab))
{
    struct order order = {.lab = lab,
                          .call = call,
                          .reached = reached,
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER};

    loop_post(lab->loop, carry_out, &order);
    pthread_mutex_lock(&order.lock);
    while (!order.done)
        pthread_cond_wait(&order.changed, &order.lock);
    pthread_mutex_unlock(&order.lock);
    return order.result;
}

void lab_do(struct lab *lab, void (*call)(struct lab *lab))
{
    give_order(lab, call, NULL);
}

void lab_wait(struct lab *lab, bool (*reached)(struct lab *lab))
{
    bool is_reached = give_order(lab, NULL, reached);

    for (unsigned i = 0; !is_reached && i < WAIT_ROUNDS; i++) {
        usleep(WAIT_MS * 1000);
        is_reached = give_order(lab, NULL, reached);
    }
    CHECK(is_reached);
}

void lab_deliver(struct lab *lab)
{
    fake_store_deliver(&lab->store, 1, BYTES("Subject: more\r\n\r\n"), 0);
    answer_watch(lab);
}

void lab_release_login(struct lab *lab)
{
    Pr__Reply answer = PR__REPLY__INIT;
    Pr__AuthStepAnswer login = PR__AUTH_STEP_ANSWER__INIT;
    char address[] = "ann@example.org";

    CHECK(lab->held != NULL);
    login.session = 77;
    login.address = address;
    answer.answer_case = PR__REPLY__ANSWER_AUTH_STEP;
    answer.auth_step = &login;
    reply(lab->held, &answer);
    lab->held = NULL;
}

void lab_lose_store(struct lab *lab)
{
    rpc_server_free(&lab->rpc);
    forget_watch(lab);
}
