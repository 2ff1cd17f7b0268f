/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/* What could not be read as one: its answer comes without news. */
static const struct imap_command no_command = {.flags = IMAP_NO_UPDATES};

static bool is_append(const struct imap_command *command)
{
    return command->parse == imap_parse_append;
}

/* What is said about a line that has no tag to answer to. */
static void untagged_bad(struct imap_session *session, const char *problem)
{
    imap_say(session, "* BAD %s\r\n", problem);
    imap_count_bad(session);
}

/* What of a command can be told before its arguments are there. */
struct start {
    struct imap_cursor cursor; /* behind the name */
    struct bytes tag;
    bool by_uid;
    const struct imap_command *command; /* NULL: *problem says why not */
    const char *problem;
};

static const char *problem_of_state(const struct imap_session *session,
                                    const struct imap_command *command)
{
    if (session->state == IMAP_STATE_GREETED)
        return "Log in first";
    if (command->states & IMAP_IN(IMAP_STATE_GREETED))
        return "You are logged in already";
    return "Select a mailbox first";
}

/* False: there is no tag. */
static bool read_start(struct imap_session *session, struct bytes text, struct start *start)
{
    struct bytes name;

    *start = (struct start){.cursor = imap_cursor_over(text, &session->command_arena)};
    if (!imap_take_tag(&start->cursor, &start->tag))
        return false;
    start->problem = "A command is missing";
    if (!imap_take_space(&start->cursor) || !imap_take_atom(&start->cursor, &name))
        return true;
    start->by_uid = bytes_equal_nocase(name, BYTES("UID"));
    if (start->by_uid &&
        (!imap_take_space(&start->cursor) || !imap_take_atom(&start->cursor, &name)))
        return true;
    const struct imap_command *command = imap_command_find(name, start->by_uid);
    if (command == NULL)
        start->problem = "Unknown command";
    else if (!(command->states & IMAP_IN(session->state)))
        start->problem = problem_of_state(session, command);
    else
        start->command = command;
    return true;
}

/* From here on there is a command under way, and imap_finish() ends it. */
static struct imap_running *begin(struct imap_session *session, const struct start *start)
{
    struct imap_running *running = imap_alloc(session, sizeof(*running));

    running->command = start->command != NULL ? start->command : &no_command;
    running->by_uid = start->by_uid;
    running->tag = start->tag;
    session->running = running;
    imap_session_event(session, IMAP_EVENT_COMMAND, running->command->name);
    return running;
}

static void finish_problem(struct imap_session *session, const struct imap_cursor *cursor)
{
    const char *problem = cursor->problem != NULL ? cursor->problem : "wrong arguments";

    session->running->command = &no_command;
    switch (cursor->kind) {
    case IMAP_PROBLEM_SYNTAX:
        problem = arena_printf(&session->command_arena, "Wrong arguments: %s", problem);
        imap_finish_bad(session, problem);
        break;
    case IMAP_PROBLEM_LIMIT:
        imap_finish(session, "NO", "LIMIT", problem);
        break;
    case IMAP_PROBLEM_CANNOT:
        imap_finish(session, "NO", "CANNOT", problem);
        break;
    case IMAP_PROBLEM_CHARSET:
        imap_finish(session, "NO", "BADCHARSET (US-ASCII UTF-8)", problem);
        break;
    }
}

static void run(struct imap_session *session, struct start *start)
{
    struct imap_running *running = begin(session, start);

    if (start->command == NULL) {
        imap_finish_bad(session, start->problem);
        return;
    }
    if (!start->command->parse(&start->cursor, &running->arguments)) {
        finish_problem(session, &start->cursor);
        return;
    }
    if (start->command->flags & IMAP_CHANGES && session->selected.read_only) {
        imap_finish(session, "NO", "READ-ONLY", "The mailbox is open for reading only");
        return;
    }
    start->command->run(session);
}

static void on_command(struct imap_session *session)
{
    /* The arguments point into it as long as the command runs. */
    struct bytes text = arena_copy(&session->command_arena, imap_reader_text(&session->reader));
    struct start start;

    imap_reader_reset(&session->reader);
    if (session->running != NULL) {
        session->running->on_line(session, text);
        return;
    }
    if (session->is_idling) {
        imap_idle_line(session, text);
        return;
    }
    if (!read_start(session, text, &start)) {
        untagged_bad(session, "A line without a tag");
        imap_session_rest(session);
    } else if (start.command != NULL && is_append(start.command)) {
        start.command = NULL;
        start.problem = "APPEND needs a message";
        run(session, &start);
    } else {
        run(session, &start);
    }
}

void imap_refuse_literal(struct imap_session *session)
{
    bool comes_anyway = !imap_reader_literal_waits(&session->reader);

    if (comes_anyway && imap_reader_literal_size(&session->reader) > IMAP_DISCARD_SIZE_MAX)
        imap_session_bye(session, "The literal is too large");
    else
        imap_reader_refuse(&session->reader);
}

static void running_broken(struct imap_session *session, const char *problem)
{
    if (session->running->on_broken != NULL)
        session->running->on_broken(session, problem);
    else
        imap_finish_bad(session, problem);
}

static void accept_literal(struct imap_session *session, struct start *start)
{
    if (imap_reader_fits(&session->reader)) {
        if (imap_reader_literal_waits(&session->reader))
            imap_say(session, "+ OK\r\n");
        imap_reader_accept(&session->reader);
        imap_session_rest(session);
        return;
    }
    imap_refuse_literal(session);
    if (session->state == IMAP_STATE_CLOSED)
        return;
    start->command = NULL;
    begin(session, start);
    imap_finish(session, "NO", "TOOBIG", "The command is too long");
    imap_count_bad(session);
}

/* The last literal of an APPEND is its message, and is not kept but handed on. */
static void on_append_literal(struct imap_session *session, struct start *start)
{
    struct imap_cursor cursor = start->cursor;
    struct imap_arguments arguments;

    if (imap_parse_append(&cursor, &arguments)) {
        struct imap_running *running = begin(session, start);
        running->arguments = arguments;
        start->command->run(session);
    } else if (cursor.at_literal) {
        accept_literal(session, start);
    } else {
        imap_refuse_literal(session);
        if (session->state == IMAP_STATE_CLOSED)
            return;
        begin(session, start);
        finish_problem(session, &cursor);
    }
}

static void on_literal(struct imap_session *session)
{
    struct bytes text = arena_copy(&session->command_arena, imap_reader_text(&session->reader));
    struct start start;

    if (session->running != NULL || session->is_idling) {
        imap_refuse_literal(session);
        if (session->running != NULL)
            running_broken(session, "Wrong arguments: no literal can stand here");
        else if (session->is_idling)
            imap_idle_line(session, text);
        return;
    }
    bool has_tag = read_start(session, text, &start);
    if (has_tag && start.command != NULL && is_append(start.command)) {
        on_append_literal(session, &start);
    } else if (has_tag && start.command != NULL) {
        accept_literal(session, &start);
    } else {
        imap_refuse_literal(session);
        if (session->state == IMAP_STATE_CLOSED)
            return;
        if (has_tag) {
            begin(session, &start);
            imap_finish_bad(session, start.problem);
        } else {
            untagged_bad(session, "A line without a tag");
            imap_session_rest(session);
        }
    }
}

/* The text is only the beginning of what came. */
static void on_broken(struct imap_session *session, const char *problem)
{
    struct bytes text = arena_copy(&session->command_arena, imap_reader_text(&session->reader));
    struct start start;

    if (session->running != NULL) {
        running_broken(session, problem);
    } else if (session->is_idling) {
        imap_idle_line(session, text);
    } else if (read_start(session, text, &start)) {
        start.command = NULL;
        begin(session, &start);
        imap_finish_bad(session, problem);
    } else {
        untagged_bad(session, problem);
        imap_session_rest(session);
    }
}

static void on_event(struct imap_session *session, enum imap_reader_event event,
                     struct bytes piece)
{
    switch (event) {
    case IMAP_READER_MORE:
        break;
    case IMAP_READER_LITERAL:
        on_literal(session);
        break;
    case IMAP_READER_STREAM:
        imap_append_piece(session, piece);
        break;
    case IMAP_READER_COMMAND:
        on_command(session);
        break;
    case IMAP_READER_TOOLONG:
        on_broken(session, "The command is too long");
        break;
    case IMAP_READER_BARE_LF:
        imap_session_event(session, IMAP_EVENT_BREACH, BYTES("bare LF"));
        on_broken(session, "Lines end with CR and LF");
        imap_session_bye(session, "Lines end with CR and LF");
        break;
    }
}

bool imap_session_reads(const struct imap_session *session)
{
    if (session->state == IMAP_STATE_CLOSED)
        return true; /* and throws it away */
    if (session->state == IMAP_STATE_OPENED || session->tls_wanted || session->tls_waits ||
        session->body_wanted != 0 || session->step != NULL ||
        buffer_len(&session->output) > IMAP_OUTPUT_CHUNK)
        return false;
    if (session->running != NULL)
        return session->running->reads;
    return session->sync == NULL;
}

size_t imap_session_feed(struct imap_session *session, struct bytes input)
{
    size_t used = 0;

    while (used < input.len && imap_session_reads(session)) {
        enum imap_reader_event event;
        struct bytes piece;
        if (session->state == IMAP_STATE_CLOSED)
            return input.len;
        used += imap_reader_feed(&session->reader, bytes_skip(input, used), &event, &piece);
        on_event(session, event, piece);
    }
    return used;
}
