/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/audit.h"

#include "node/base/log.h"

struct audited {
    struct service_call *call;
    const char *what;
    const char *object;
    void (*done)(struct service_call *call, const Pr__Outcome *outcome);
};

void audit(const char *what, const char *object, enum err err, const char *text)
{
    log_info(NULL, "operator",
             LOG_FIELDS(LOG_TEXT("action", what), LOG_TEXT("object", object),
                        LOG_TEXT("result", err_name(err)),
                        LOG_TEXT("text", text != NULL ? text : "")));
}

static void on_written(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct audited *audited = context;
    struct service_call *call = audited->call;

    (void)index;
    audit(audited->what, audited->object, err == ERR_OK ? (enum err)outcome->err : err,
          err == ERR_OK ? outcome->text : NULL);
    if (err == ERR_OK && outcome->err == ERR_OK && audited->done != NULL)
        audited->done(call, outcome);
    else
        call_outcome(call, err, outcome);
}

void audit_write_then(struct service_call *call, Pr__Command *command, const char *what,
                      const char *object,
                      void (*done)(struct service_call *call, const Pr__Outcome *outcome))
{
    struct audited *audited = arena_alloc(&call->call_arena, sizeof(*audited));

    *audited = (struct audited){call, what, object, done};
    command->request_id = call->request->request_id;
    write_start(call->service, DIRECTORY_GROUP, command, call->deadline_ms, on_written,
                audited);
}

void audit_write(struct service_call *call, Pr__Command *command, const char *what,
                 const char *object)
{
    audit_write_then(call, command, what, object, NULL);
}
