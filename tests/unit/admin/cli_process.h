/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CLI as a process, in front of a store that a test stands in for; included by the tests of
 * the CLI alone. */

/*
 * The CLI as a process of its own (this program, started with CHILD set), against a store that
 * answers from a table. Checked: exit status, both outputs, and what the store was asked.
 */
#define CHILD "POSTRAFT_TEST_CLI"
#define DEADLINE_MS 20000
#define TEXT_MAX 16384

static char folder[] = "/tmp/postraft-cli-XXXXXX";
static struct loop *loop;
static struct rpc_server *server;
/* The CLI reads the configuration for the folder of the sockets only. */
enum err config_load(const char *path, struct arena *arena, struct config *config,
                     const char **problem)
{
    (void)config;
    *problem = arena_printf(arena, "%s: no such file", path);
    return ERR_NOTFOUND;
}

static struct {
    unsigned calls;
    bool removing;        /* n3 has been asked to go */
    char asked[TEXT_MAX]; /* "tenant_add example id=16;" */
} store;

__attribute__((format(printf, 1, 2))) static void asked(const char *format, ...)
{
    size_t len = strlen(store.asked);
    va_list values;

    va_start(values, format);
    vsnprintf(store.asked + len, sizeof(store.asked) - len, format, values);
    va_end(values);
}

static char *text(struct arena *arena, const char *value)
{
    return arena_string(arena, bytes_of(value));
}

static void refuse(Pr__Reply *reply, struct arena *arena, enum err err, const char *why)
{
    reply->err = err;
    reply->text = text(arena, why);
}

/* The test's store: false when it does not know the call. */
static bool answer_call(const Pr__Request *request, Pr__Reply *reply, struct arena *arena);

static void handle(void *context, struct rpc_request *rpc, const struct rpc_peer *peer,
                   struct bytes body)
{
    struct arena arena;
    struct buffer packed = BUFFER_EMPTY;
    Pr__Reply reply = PR__REPLY__INIT;

    (void)context;
    (void)peer;
    arena_init(&arena);
    ProtobufCAllocator allocator = arena_allocator(&arena);
    const Pr__Request *request = pr__request__unpack(&allocator, body.len, body.at);
    CHECK(request != NULL);
    store.calls++;
    if (answer_call(request, &reply, &arena))
        asked(" id=%zu;", request->request_id.len);
    else
        refuse(&reply, &arena, ERR_UNSUPPORTED, "not in this test");
    message_pack(&reply.base, &packed);
    rpc_reply(rpc, buffer_bytes(&packed));
    buffer_fini(&packed);
    arena_fini(&arena);
}

/* ---- running the CLI ---- */

struct run {
    pid_t pid;
    uint64_t end_ms;
    struct loop_timer *timer;
    int status;
};

static void look(void *context)
{
    struct run *run = context;
    pid_t got = waitpid(run->pid, &run->status, WNOHANG);

    if (got == 0 && clock_monotonic_ms() < run->end_ms)
        return;
    if (got == 0) {
        kill(run->pid, SIGKILL);
        waitpid(run->pid, &run->status, 0);
    }
    loop_timer_stop(&run->timer);
    loop_stop(loop);
}

static void read_file(const char *name, char content[TEXT_MAX])
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_RDONLY);
    ssize_t len = fd >= 0 ? read(fd, content, TEXT_MAX - 1) : 0;
    content[len > 0 ? len : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

static void write_file(const char *name, const char *content)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static void redirect(const char *name, int to, int flags)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, flags, 0600);
    if (fd < 0 || dup2(fd, to) < 0)
        _exit(99);
}

/* `line` is cut at spaces; FOLDER stands for the test's folder. */
static int run_cli(const char *line, const char *input, char output[TEXT_MAX],
                   char errors[TEXT_MAX])
{
    struct arena arena;
    char *argv[32] = {NULL};
    int argc = 0;

    arena_init(&arena);
    memset(&store, 0, sizeof(store));
    write_file("input", input);
    struct bytes rest = bytes_of(line);
    while (rest.len > 0 && argc < 31) {
        struct bytes word = bytes_take_word(&rest);
        char *copy = arena_string(&arena, word);
        if (strncmp(copy, "FOLDER", 6) == 0)
            copy = arena_printf(&arena, "%s%s", folder, copy + 6);
        argv[argc++] = copy;
    }
    struct run run = {.end_ms = clock_monotonic_ms() + DEADLINE_MS};
    run.pid = fork();
    CHECK(run.pid >= 0);
    if (run.pid == 0) {
        redirect("input", STDIN_FILENO, O_RDONLY);
        redirect("output", STDOUT_FILENO, O_WRONLY | O_CREAT | O_TRUNC);
        redirect("errors", STDERR_FILENO, O_WRONLY | O_CREAT | O_TRUNC);
        setenv(CHILD, "1", 1);
        execv("/proc/self/exe", argv);
        _exit(99);
    }
    run.timer = loop_timer_start(loop, 2, 2, look, &run);
    loop_run(loop);
    read_file("output", output);
    read_file("errors", errors);
    arena_fini(&arena);
    return WIFEXITED(run.status) ? WEXITSTATUS(run.status) : 128;
}

struct row {
    const char *line;
    int status;
    const char *output; /* is in it; "" : it is empty; NULL: any */
    const char *errors;
    const char *asked;
    const char *input;
};

static void check_text(const char *line, const char *what, const char *got, const char *want)
{
    bool good = want == NULL || (want[0] == '\0' ? got[0] == '\0' : strstr(got, want) != NULL);

    if (!good)
        fail_msg("%s: %s is \"%s\", wanted \"%s\"", line, what, got, want);
}

static void check_rows(const struct row *rows, size_t count)
{
    char output[TEXT_MAX];
    char errors[TEXT_MAX];

    for (size_t i = 0; i < count; i++) {
        const char *input = rows[i].input != NULL ? rows[i].input : "";
        int status = run_cli(rows[i].line, input, output, errors);
        if (status != rows[i].status)
            fail_msg("%s: exit status %d, wanted %d; %s%s", rows[i].line, status,
                     rows[i].status, output, errors);
        check_text(rows[i].line, "the output", output, rows[i].output);
        check_text(rows[i].line, "the error output", errors, rows[i].errors);
        check_text(rows[i].line, "what was asked", store.asked, rows[i].asked);
    }
}

#define ROWS(rows) rows, sizeof(rows) / sizeof((rows)[0])
#define P "postraft --run FOLDER "

static int open_store(void **state)
{
    static char url[128];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(url, sizeof(url), "ipc://%s/store-operator.sock", folder);
    const struct rpc_server_config config = {
        .url = url,
        .parallel_max = 64,
        .uid = UINT32_MAX,
        .ipc_mode = 0600,
        .handle = handle,
    };
    loop = loop_new();
    return rpc_server_new(loop, &config, &server) == ERR_OK ? 0 : -1;
}

static int close_store(void **state)
{
    static const char *const names[] = {"input", "output", "errors", "secret", "many"};
    char path[128];

    (void)state;
    rpc_server_free(&server);
    loop_free(&loop);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/store-operator.sock", folder);
    unlink(path);
    return rmdir(folder);
}
