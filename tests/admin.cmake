# What operators meet: the store service's operator calls, and the CLI.
set(placement SOURCES storage/service/placement_plan.c storage/service/placement_step.c
    storage/service/placement_want.c storage/service/placement_rebalance.c storage/service/placement_bytes.c USES pr_schema pr_base)
unit_test(storage/service placement_bytes ${placement})
unit_test(storage/service weight_estimate SOURCES storage/service/weight_estimate.c USES pr_storage_machine pr_storage_db pr_schema pr_base)
unit_test(storage/service placement_plan ${placement})
unit_test(storage/service placement_want ${placement})
unit_test(storage/service members_risk ${placement} SOURCES storage/service/members_risk.c)
unit_test(storage/service recover_plan SOURCES storage/service/recover_plan.c
          USES pr_schema pr_base)
unit_test(storage/service identity
          SOURCES storage/service/identity.c storage/service/cluster_folder.c storage/service/token.c
          USES pr_raft pr_runtime pr_schema pr_base PkgConfig::SODIUM)
unit_test(storage/service node_log
          SOURCES storage/service/node_log.c tests/unit/raft/log_model.c
          USES pr_raft pr_base Threads::Threads)
unit_test(storage/service status SOURCES storage/service/status_merge.c USES pr_schema pr_base)
unit_test(admin cli USES pr_admin_cli pr_runtime pr_schema pr_base)
unit_test(admin cli_addresses USES pr_admin_cli pr_runtime pr_schema pr_base)
unit_test(storage/service handovers SOURCES storage/service/handovers.c USES pr_schema pr_base)
unit_test(storage/service passwords SOURCES storage/service/passwords.c
          USES pr_runtime pr_base PkgConfig::SODIUM LABELS threads)
unit_test(storage/service operator
          SOURCES storage/service/operator.c storage/service/audit.c storage/service/tenants.c storage/service/accounts.c
                  storage/service/account_remove.c storage/service/listing.c
          USES pr_mail pr_runtime pr_schema pr_base)
unit_test(storage/service lists SOURCES storage/service/tenants.c storage/service/listing.c
          USES pr_schema pr_base)
unit_test(storage/service queue_calls SOURCES storage/service/queue_calls.c USES pr_schema pr_base)
