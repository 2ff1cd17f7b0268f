/* SPDX-License-Identifier: GPL-2.0-or-later */
/* postraft-imap: mailboxes for mail clients. Started by postraftd; keeps nothing on disk. */
#include "imap/server/server.h"
#include "node/base/check.h"
#include "node/base/log.h"
#include "node/mail/text.h"
#include "node/runtime/network_map.h"
#include "node/runtime/process.h"

enum {
    EXIT_CANNOT_START = 1,
    LISTENERS_MAX = 2 * CONFIG_ADDRESSES_MAX,
    CLOSE_MS = 2000, /* a stop takes no longer */
};

struct program {
    struct process process;
    struct imap_server *server;
    struct conn_listener *listeners[LISTENERS_MAX];
    unsigned listener_count;
    struct conn_limits limits;
    struct network_map *networks;
};

static uint32_t network_of(void *context, const struct firewall_address *address)
{
    const struct program *program = context;
    struct network_facts facts;
    struct address peer;

    firewall_address_bytes(address, peer.bytes);
    return network_map_look_up(program->networks, &peer, &facts) ? facts.asn : 0;
}

static void on_stopped(void *context)
{
    struct program *program = context;

    loop_stop(program->process.loop);
}

static void on_stop(void *context)
{
    struct program *program = context;

    for (unsigned i = 0; i < program->listener_count; i++)
        conn_listener_close(&program->listeners[i]);
    program->listener_count = 0;
    imap_server_stop(program->server, on_stopped, program);
}

static void listen_on(struct program *program, const char *name, struct tls_context *tls,
                      bool implicit)
{
    static const struct bytes refusal = BYTES_INIT("* BYE Too many connections\r\n");
    const struct config_prefixes *proxies = &program->process.config.proxy_networks;
    int fds[CONFIG_ADDRESSES_MAX];
    unsigned count = process_listeners(&program->process, name, fds, CONFIG_ADDRESSES_MAX);

    for (unsigned i = 0; i < count; i++) {
        struct conn_listener *listener =
            conn_listen(program->process.loop, fds[i], &imap_server_protocol, program->server,
                        tls, implicit, &program->limits, refusal);
        if (proxies->count > 0)
            conn_listener_expect_proxy(listener, proxies->at, proxies->count);
        program->listeners[program->listener_count++] = listener;
    }
    log_info(NULL, "serving",
             LOG_FIELDS(LOG_TEXT("protocol", name), LOG_U64("sockets", count)));
}

static void set_limits(struct program *program)
{
    program->limits = conn_limits_default;
    program->limits.close_ms = CLOSE_MS;
    if (program->process.config.connections_max > 0)
        program->limits.connections_max = program->process.config.connections_max;
    if (program->process.config.connections_address_max > 0)
        program->limits.connections_address_max =
            program->process.config.connections_address_max;
}

static enum err serve(struct program *program)
{
    struct process *process = &program->process;
    struct tls_context *tls = NULL;
    struct mail_charsets *charsets = mail_charsets_open();
    const struct imap_server_config config = {
        .hostname = process->config.hostname,
        .store_url =
            arena_printf(&process->arena, "ipc://%s/store-imap.sock", process->config.run),
        .append_size_max = process->config.message_bytes_max,
        .can_tls = process->tls_certificate.len > 0,
        .login_failures_max = process->config.auth_failures_max,
        .network_of = network_of,
        .network_context = program,
    };
    enum err err = process_tls(process, &tls);
    program->networks = process_network_map(process);

    if (err == ERR_OK)
        err = imap_server_new(process->loop, &config, &program->server);
    if (err == ERR_OK) {
        process_sandbox(process, NULL);
        set_limits(program);
        listen_on(program, "imap", tls, false);
        if (tls != NULL)
            listen_on(program, "imaps", tls, true);
        process_ready(process, on_stop, program);
        loop_run(process->loop);
        imap_server_free(&program->server);
    }
    tls_context_free(&tls);
    mail_charsets_close(&charsets);
    return err;
}

int main(int argc, char **argv)
{
    static struct program program;
    int status;

    if (!process_start(&program.process, argc, argv, "postraft-imap", &status))
        return status;
    enum err err = serve(&program);
    status = process_end(&program.process);
    if (err != ERR_OK) {
        log_error(NULL, "cannot start", LOG_FIELDS(LOG_TEXT("reason", err_text(err))));
        return EXIT_CANNOT_START;
    }
    return status;
}
