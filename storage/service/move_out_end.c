/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/format.h"
#include "storage/service/limits.h"
#include "storage/service/move_out_steps.h"
#include "storage/service/scopes.h"

static void ended(struct move_out *move, const Pr__Outcome *outcome)
{
    if (!move_out_refused(move, outcome, "end"))
        move_out_ended(move, ERR_OK, "");
}

static void move_end_send(struct move_out *move)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__MoveEnd end = PR__MOVE_END__INIT;
    struct db_txn *txn = service_directory_begin(move->service);
    struct arena arena;

    arena_init(&arena);
    end.account_id = move->account_id;
    end.attempt = move->attempt;
    end.moved = true;
    scopes_of_move_end(txn, move->account_id, move->from, &arena, &end);
    command.call_case = PR__COMMAND__CALL_MOVE_END;
    command.move_end = &end;
    move_out_send(move, move->from, &command, ended, "end");
    db_abort(&txn);
    arena_fini(&arena);
}

static void import_end_send(struct move_out *move, Pr__ImportEnd__Kind kind,
                            move_out_step_done *done, const char *name)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__ImportEnd end = PR__IMPORT_END__INIT;

    end.account_id = move->account_id;
    end.attempt = move->attempt;
    end.kind = kind;
    end.sequence = move->look.sequence;
    command.call_case = PR__COMMAND__CALL_IMPORT_END;
    command.import_end = &end;
    move_out_send(move, move->to, &command, done, name);
}

static void settled(struct move_out *move, const Pr__Outcome *outcome)
{
    if (move_out_refused(move, outcome, "settle"))
        return;
    move->frozen_ms = clock_monotonic_ms() - move->frozen_at_ms;
    move->frozen = false;
    if (service_format(move->service, DIRECTORY_GROUP) < FORMAT_SCOPES)
        move_end_send(move);
    else /* it has to know of the flip, and of what is granted since */
        move_out_look(move, move_end_send, "look");
}

static void flipped(struct move_out *move, const Pr__Outcome *outcome)
{
    if (!move_out_refused(move, outcome, "flip"))
        import_end_send(move, PR__IMPORT_END__KIND__SETTLED, settled, "settle");
}

static void finished(struct move_out *move, const Pr__Outcome *outcome)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__AccountMoveDone done = PR__ACCOUNT_MOVE_DONE__INIT;

    if (move_out_refused(move, outcome, "finish"))
        return;
    done.account_id = move->account_id;
    done.attempt = move->attempt;
    if (service_format(move->service, DIRECTORY_GROUP) >= FORMAT_SCOPES) {
        done.bytes = move->bytes;
        done.messages = move->messages;
    }
    command.call_case = PR__COMMAND__CALL_ACCOUNT_MOVE_DONE;
    command.account_move_done = &done;
    move_out_send(move, DIRECTORY_GROUP, &command, flipped, "flip");
}

void move_out_finish(struct move_out *move)
{
    import_end_send(move, PR__IMPORT_END__KIND__DONE, finished, "finish");
}
