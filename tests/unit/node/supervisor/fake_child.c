/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for every program of a node: it says in the log what it was given, answers each
 * client with its name, and does on request what a program should not. FAKE_<what> in the
 * environment holds the name of the program that is to do it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/log.h"
#include "node/runtime/conn.h"
#include "node/runtime/network_map.h"
#include "node/runtime/process.h"

struct fake {
    struct process process;
    struct tls_context *tls;
    struct conn_listener *listeners[6 * 8];
};

static void *on_open(void *context, struct conn *conn)
{
    struct fake *fake = context;
    char text[80];
    int len = snprintf(text, sizeof(text), "%s %u\n", fake->process.name, fake->process.index);
    conn_write(conn, bytes_from(text, (size_t)len));
    conn_close(conn);
    return fake;
}

static size_t on_feed(void *session, struct bytes input)
{
    (void)session;
    return input.len;
}

static void on_nothing(void *session)
{
    (void)session;
}

static const struct conn_protocol protocol = {on_open,    on_feed,    on_nothing,
                                              on_nothing, on_nothing, on_nothing};

static bool asked(const char *what, const char *name)
{
    const char *who = getenv(what);
    return who != NULL && strcmp(who, name) == 0;
}

static void on_stop(void *context)
{
    struct fake *fake = context;
    log_info(NULL, "fake stops", NULL);
    if (!asked("FAKE_DEAF", fake->process.name))
        loop_stop(fake->process.loop);
}

static unsigned listen_all(struct fake *fake)
{
    static const char *const names[] = {"smtp",        "submission", "imap",
                                        "submissions", "lmtp",       "imaps"};
    unsigned total = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        int fds[8];
        unsigned count = process_listeners(&fake->process, names[i], fds, 8);
        for (unsigned j = 0; j < count; j++)
            fake->listeners[total++] = conn_listen(
                fake->process.loop, fds[j], &protocol, fake, fake->tls,
                names[i][strlen(names[i]) - 1] == 's', &conn_limits_default, BYTES(""));
    }
    return total;
}

int main(int argc, char **argv)
{
    struct fake fake = {.tls = NULL};
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash != NULL ? slash + 1 : argv[0];
    int status;

    if (!process_start(&fake.process, argc, argv, name, &status))
        return status;
    if (asked("FAKE_REFUSES", name) || asked("FAKE_CRASHES", name)) {
        process_end(&fake.process);
        return asked("FAKE_REFUSES", name) ? 2 : 3;
    }
    bool tls = process_tls(&fake.process, &fake.tls) == ERR_OK && fake.tls != NULL;
    struct network_map *map = process_network_map(&fake.process);
    unsigned listeners = listen_all(&fake);
    log_info(NULL, "fake facts",
             LOG_FIELDS(LOG_TEXT("name", name), LOG_U64("listeners", listeners),
                        LOG_U64("tls", tls), LOG_U64("map_made_s", network_map_made_s(map)),
                        LOG_U64("uid", getuid()), LOG_U64("gid", getgid()),
                        LOG_U64("groups", (uint64_t)getgroups(0, NULL))));
    if (listeners > 0) /* what it is sent later has to be of use behind the fences */
        process_sandbox_dns(&fake.process);
    process_ready(&fake.process, on_stop, &fake);
    loop_run(fake.process.loop);
    for (unsigned i = 0; i < listeners; i++)
        conn_listener_close(&fake.listeners[i]);
    tls_context_free(&fake.tls);
    return process_end(&fake.process);
}
