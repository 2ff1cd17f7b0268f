/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/log.h"
#include "node/runtime/process.h"
#include "node/supervisor/supervisor.h"

static const char usage[] =
    "usage: postraftd [OPTION]...\n"
    "Runs the programs of one Postraft node.\n"
    "\n"
    "  -c, --config FILE   the configuration, else " CONFIG_PATH_DEFAULT "\n"
    "      --check         looks at the configuration, and starts nothing\n"
    "      --help-config   prints what the configuration may say\n"
    "      --man-config    the same as a manual page\n"
    "  -h, --help          prints this\n"
    "      --version       prints the version\n"
    "\n"
    "SIGHUP: the certificate and its key, and the network map, are read again; nobody is\n"
    "disconnected.\n"
    "\n"
    "Exit status: 0 after a stop that was asked for, 2 when the configuration is wrong, 1 for\n"
    "everything else.\n";

struct options {
    const char *path;
    bool check_only;
};

static void print_manual(void (*print)(struct buffer *text))
{
    struct buffer text = BUFFER_EMPTY;

    print(&text);
    fwrite(buffer_bytes(&text).at, 1, buffer_len(&text), stdout);
    buffer_fini(&text);
}

/* Returns false when the process has to end with *status. */
static bool read_options(int argc, char **argv, struct options *options, int *status)
{
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"check", no_argument, NULL, 'k'},
                                          {"help-config", no_argument, NULL, 'm'},
                                          {"man-config", no_argument, NULL, 'p'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'v'},
                                          {NULL, 0, NULL, 0}};
    int option;

    *options = (struct options){.path = CONFIG_PATH_DEFAULT};
    *status = STATUS_GOOD;
    while ((option = getopt_long(argc, argv, "c:h", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->path = optarg;
            break;
        case 'k':
            options->check_only = true;
            break;
        case 'm':
            print_manual(config_manual);
            return false;
        case 'p':
            print_manual(config_man_page);
            return false;
        case 'h':
            fputs(usage, stdout);
            return false;
        case 'v':
            printf("postraftd %s\n", POSTRAFT_VERSION);
            return false;
        default:
            *status = STATUS_OF_CONFIGURATION;
            return false;
        }
    }
    if (optind == argc)
        return true;
    fprintf(stderr, "postraftd: unknown argument %s\n", argv[optind]);
    *status = STATUS_OF_CONFIGURATION;
    return false;
}

/* The front ends map it; it is not looked at here. */
static void reload_map(struct supervisor *supervisor)
{
    const char *path = supervisor->config.network_map_file;

    if (path[0] == '\0' || access(path, R_OK) != 0)
        return;
    unsigned programs = children_send(supervisor, spawn_send_map);
    log_info(NULL, "the network map was handed over again",
             LOG_FIELDS(LOG_TEXT("file", path), LOG_U64("programs", programs)));
}

static void on_signal(void *context, int signal_number)
{
    struct supervisor *supervisor = context;

    if (signal_number == SIGCHLD) {
        children_reap(supervisor);
    } else if (signal_number != SIGHUP) {
        children_stop(supervisor, STATUS_GOOD);
    } else if (!supervisor->stopping) {
        notify_reloading();
        tls_files_reload(supervisor);
        reload_map(supervisor);
        notify("READY=1");
    }
}

/* The programs lie where this one lies. */
static bool find_programs(struct supervisor *supervisor)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (len <= 0)
        return false;
    path[len] = '\0';
    supervisor->folder_of_programs = arena_string(&supervisor->arena, bytes_of(dirname(path)));
    return true;
}

static int supervise(struct supervisor *supervisor)
{
    supervisor->loop = loop_new();
    signal(SIGPIPE, SIG_IGN);
    loop_on_signal(supervisor->loop, SIGTERM, on_signal, supervisor);
    loop_on_signal(supervisor->loop, SIGINT, on_signal, supervisor);
    loop_on_signal(supervisor->loop, SIGCHLD, on_signal, supervisor);
    loop_on_signal(supervisor->loop, SIGHUP, on_signal, supervisor);
    if (find_programs(supervisor) && folders_prepare(supervisor) &&
        tls_files_read(supervisor) && listeners_bind(supervisor) && children_make(supervisor) &&
        capabilities_drop(supervisor)) {
        children_start(supervisor);
        loop_run(supervisor->loop);
    } else {
        supervisor->status = STATUS_FAILED;
    }
    for (unsigned i = 0; i < supervisor->listeners_count; i++)
        close(supervisor->listeners[i].fd);
    loop_free(&supervisor->loop);
    folders_leave(supervisor);
    tls_files_forget(supervisor);
    return supervisor->status;
}

int main(int argc, char **argv)
{
    struct supervisor supervisor = {.pid_file = -1};
    struct options options;
    const char *problem = "";
    int status;

    if (!read_options(argc, argv, &options, &status))
        return status;
    arena_init(&supervisor.arena);
    enum err err = config_load(options.path, &supervisor.arena, &supervisor.config, &problem);
    char *path = err == ERR_OK ? realpath(options.path, NULL) : NULL;
    if (err != ERR_OK) {
        fprintf(stderr, "postraftd: %s\n", problem);
        status = STATUS_OF_CONFIGURATION;
        free(path);
        arena_fini(&supervisor.arena);
        return status;
    }
    arena_init(&supervisor.tls_arena);
    log_init("postraftd", process_log_level(&supervisor.config), supervisor.config.log_json);
    if (!users_known(&supervisor.config)) {
        status = STATUS_OF_CONFIGURATION;
    } else if (options.check_only) {
        printf("%s is good\n", options.path);
    } else {
        log_info(NULL, "starting", LOG_FIELDS(LOG_TEXT("version", POSTRAFT_VERSION)));
        supervisor.config_path = path;
        status = supervise(&supervisor);
        log_info(NULL, "stopped", LOG_FIELDS(LOG_I64("status", status)));
    }
    free(path);
    arena_fini(&supervisor.arena);
    return status;
}
