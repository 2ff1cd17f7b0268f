# SPDX-License-Identifier: GPL-2.0-or-later
# The simulator has the product's replicator and mail machine, over tables in memory: those define what storage/db would.
add_executable(sim sim/campaign.c sim/checks.c sim/checks_end.c sim/client.c sim/db_memory.c sim/db_memory_cursor.c
               sim/db_memory_watch.c sim/db_tree.c sim/disk.c sim/fetch.c sim/machine.c sim/machine_bugs.c
               sim/machine_copy.c sim/machine_forget.c sim/mail_changes.c sim/mail_choose.c sim/mail_command.c
               sim/mail_end.c sim/mail_handover.c sim/mail_history.c sim/mail_look.c sim/mail_result.c sim/mail_send.c
               sim/main.c sim/net.c sim/node_life.c sim/nodes.c sim/operator.c sim/recovery.c sim/run.c
               sim/world.c unit/storage/invariants.c ${PROJECT_SOURCE_DIR}/storage/service/recover_plan.c)
set_target_properties(sim PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(sim PRIVATE pr_raft pr_storage_transfer pr_storage_query pr_storage_machine PkgConfig::SODIUM)
add_test(NAME sim/fresh COMMAND sim --fresh 400 --seconds 40 --file ${CMAKE_CURRENT_SOURCE_DIR}/sim/seeds)

# The same with the whole service of each node, over runtimes in virtual time.
add_executable(sim-service sim/campaign.c sim/checks.c sim/db_memory.c sim/db_memory_cursor.c sim/db_memory_watch.c
               sim/db_tree.c sim/disk.c sim/letters.c sim/main.c sim/net.c sim/nodes.c sim/people.c sim/service_bugs.c
               sim/service_checks.c sim/service_front.c sim/service_loop.c sim/service_machine.c sim/service_node.c
               sim/service_rpc.c sim/service_run.c sim/service_setup.c sim/told.c sim/views.c sim/visitors.c sim/world.c
               unit/storage/invariants.c)
set_target_properties(sim-service PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_compile_definitions(sim-service PRIVATE SIM_SERVICE)
target_link_libraries(sim-service PRIVATE pr_storage_service PkgConfig::SODIUM)
# What stands in for loop, RPC, tables and storage/service/replication.c comes first, and so counts.
target_link_options(sim-service PRIVATE -Wl,--allow-multiple-definition)

# Each planted bug is noticed: the first seed that fails is enough.
foreach(bug persisted-before-durable vote-not-durable ack-before-apply wrong-site stale-read uid-reused-after-failover
            dedupe-forgotten-after-transfer expunge-resurrected quota-drift)
  add_test(NAME sim/bug-${bug} COMMAND sim --seeds 1 300 --bug ${bug})
  set_tests_properties(sim/bug-${bug} PROPERTIES LABELS sim)
endforeach()

add_test(NAME sim/service-fresh COMMAND sim-service --fresh 400 --seconds 45
         --file ${CMAKE_CURRENT_SOURCE_DIR}/sim/service_seeds)
set_tests_properties(sim/service-fresh PROPERTIES LABELS sim)
foreach(bug cancel-forgotten stale-session move-double)
  add_test(NAME sim/bug-${bug} COMMAND sim-service --seeds 1 300 --bug ${bug})
  set_tests_properties(sim/bug-${bug} PROPERTIES LABELS sim)
endforeach()

# Both implementations of storage/db/db.h in one program: the one in memory under other names.
add_library(db_memory_renamed OBJECT sim/db_memory.c sim/db_memory_cursor.c sim/db_memory_watch.c sim/db_tree.c unit/sim/db_play.c)
target_include_directories(db_memory_renamed PRIVATE ${PROJECT_SOURCE_DIR})
target_compile_options(db_memory_renamed PRIVATE -include ${CMAKE_CURRENT_SOURCE_DIR}/sim/db_memory_names.h)
unit_test(sim db_memory SOURCES tests/unit/sim/db_play.c USES db_memory_renamed pr_storage_db)
