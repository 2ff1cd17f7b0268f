unit_test(storage/service write
          SOURCES storage/service/write.c tests/unit/storage/service/write_world.c
          USES pr_schema pr_base)
target_include_directories(test_storage_service_write PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
unit_test(storage/service watch SOURCES storage/service/watch.c storage/service/sessions.c
          USES pr_schema pr_base PkgConfig::SODIUM)
set(storage_lab SOURCES tests/unit/storage/lab.c tests/unit/storage/invariants.c
    USES pr_storage_query pr_storage_machine)
set(storage_model tests/unit/storage/model.c tests/unit/storage/model_compare.c
    tests/unit/storage/model_mailboxes.c)
unit_test(storage/machine deliver ${storage_lab})
unit_test(storage/machine model ${storage_lab} SOURCES ${storage_model})
add_executable(bench_machine bench/bench_machine.c)
set_target_properties(bench_machine PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(bench_machine PRIVATE pr_storage_machine)
add_executable(bench_queue bench/bench_queue.c)
set_target_properties(bench_queue PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(bench_queue PRIVATE pr_storage_query pr_storage_machine)
unit_test(storage/machine commands ${storage_lab})
foreach(name queue queue_bounds queue_lanes queue_lease queue_notice queue_parts queue_sent_model sending
        greylist queue_model)
  unit_test(storage/machine ${name} ${storage_lab} SOURCES tests/unit/storage/machine/queue_lab.c)
endforeach()
unit_test(storage/machine queue_told ${storage_lab} SOURCES tests/unit/storage/machine/queue_lab.c)
unit_test(storage/query queue ${storage_lab} SOURCES tests/unit/storage/machine/queue_lab.c)
unit_test(storage/machine requests ${storage_lab})
unit_test(storage/machine clock ${storage_lab})
unit_test(storage/machine directory ${storage_lab})
unit_test(storage/machine members ${storage_lab})
unit_test(storage/machine format ${storage_lab})
unit_test(storage/machine format_1 ${storage_lab})
target_link_libraries(test_storage_machine_format_1 PRIVATE PkgConfig::ZSTD)
target_compile_definitions(test_storage_machine_format_1 PRIVATE FIXTURES="${CMAKE_CURRENT_SOURCE_DIR}/fixtures")
set(format_replay ${storage_lab} PkgConfig::ZSTD SOURCES tests/unit/storage/format_replay.c)
unit_test(storage/machine format_2 ${format_replay})
unit_test(storage/machine format_3 ${format_replay} tests/unit/storage/machine/queue_lab.c)
foreach(number 2 3)
  target_compile_definitions(test_storage_machine_format_${number}
                             PRIVATE FIXTURES="${CMAKE_CURRENT_SOURCE_DIR}/fixtures")
endforeach()
unit_test(storage/machine applier ${storage_lab} LABELS threads)
unit_test(storage/machine applier_disk ${storage_lab} LABELS threads)
unit_test(storage/db db USES pr_storage_db Threads::Threads LABELS threads)
unit_test(storage/db sync USES pr_storage_db)
unit_test(storage/query search SOURCES tests/unit/storage/lab.c tests/unit/storage/invariants.c
          USES pr_storage_query pr_storage_machine PkgConfig::ZSTD)
fuzz_target(log_entry USES pr_storage_query pr_storage_machine)
target_sources(fuzz_log_entry PRIVATE unit/storage/lab.c unit/storage/invariants.c
               unit/storage/directory_lab.c)
unit_test(storage/machine changes ${storage_lab})
unit_test(storage/schema schema USES pr_schema)
unit_test(raft log_format_1 USES pr_raft PkgConfig::ZSTD Threads::Threads)
target_compile_definitions(test_raft_log_format_1 PRIVATE FIXTURES="${CMAKE_CURRENT_SOURCE_DIR}/fixtures")
unit_test(storage/machine expunged ${storage_lab})
unit_test(storage/machine forgotten ${storage_lab})
unit_test(storage/machine quota ${storage_lab})
unit_test(storage/machine record USES pr_storage_machine)
unit_test(storage/machine scopes ${storage_lab} SOURCES tests/unit/storage/machine/scope_lab.c)
unit_test(storage/machine scope_grants ${storage_lab}
          SOURCES tests/unit/storage/machine/scope_lab.c)
unit_test(storage/machine scope_escrow ${storage_lab}
          SOURCES tests/unit/storage/machine/scope_lab.c)
unit_test(storage/machine sending_tenants ${storage_lab} SOURCES tests/unit/storage/machine/scope_lab.c
          tests/unit/storage/machine/sending_tenants_lab.c)
unit_test(storage/machine scope_moves ${storage_lab}
          SOURCES tests/unit/storage/machine/scope_lab.c)
unit_test(storage/query scopes ${storage_lab}
          SOURCES tests/unit/storage/machine/scope_lab.c)
unit_test(storage/machine scope_room ${storage_lab}
          SOURCES tests/unit/storage/machine/scope_lab.c)
unit_test(storage/machine removed ${storage_lab})
set(storage_copying SOURCES tests/unit/storage/transfer/copying.c tests/unit/storage/lab.c
    tests/unit/storage/invariants.c USES pr_storage_query pr_storage_transfer Threads::Threads)
unit_test(storage/transfer compare ${storage_copying})
unit_test(storage/transfer transfer ${storage_copying} SOURCES ${storage_model})
unit_test(storage/transfer transfer_threads ${storage_copying} SOURCES ${storage_model}
          LABELS threads)
unit_test(storage/machine moves SOURCES ${storage_model} tests/unit/storage/moving.c
          tests/unit/storage/lab.c tests/unit/storage/invariants.c
          USES pr_storage_query pr_storage_transfer Threads::Threads)
unit_test(storage/service space SOURCES storage/service/space_rule.c USES pr_schema pr_base)
unit_test(storage/query limits ${storage_lab})
unit_test(storage/service read SOURCES storage/service/read.c USES pr_schema pr_base)
unit_test(storage/service route_read SOURCES storage/service/route_read.c storage/service/sessions.c
          USES pr_schema pr_base PkgConfig::SODIUM)
unit_test(storage/service fence SOURCES storage/service/fence.c tests/unit/storage/lab.c
          tests/unit/storage/invariants.c USES pr_storage_query pr_storage_machine PkgConfig::SODIUM)
fuzz_target(transfer USES pr_storage_transfer)
unit_test(storage/service state_outrun SOURCES storage/service/state_outrun.c USES pr_base)
unit_test(storage/service scrub_note SOURCES storage/service/scrub_note.c storage/service/identity.c
          USES pr_storage_query pr_schema pr_runtime pr_base PkgConfig::SODIUM)
unit_test(storage/query scrub SOURCES tests/unit/storage/lab.c tests/unit/storage/invariants.c
          USES pr_storage_query pr_storage_machine PkgConfig::ZSTD PkgConfig::SODIUM)
foreach(name route route_scopes)
  unit_test(storage/service ${name} SOURCES storage/service/route.c
            USES pr_schema pr_base PkgConfig::SODIUM)
endforeach()
# Parts of the service in a world of one state, the real machine, and a clock that the test holds.
set(service_world SOURCES tests/unit/storage/service/service_world.c tests/unit/storage/lab.c
    tests/unit/storage/invariants.c)
foreach(name move_out moves)
  unit_test(storage/service ${name} ${service_world} storage/service/move_out.c storage/service/move_out_end.c
            storage/service/moves.c storage/service/scopes_moved.c tests/unit/storage/service/move_place.c
            ${storage_model} tests/unit/storage/moving.c
            USES pr_storage_query pr_storage_transfer Threads::Threads PkgConfig::SODIUM)
endforeach()
unit_test(storage/service join_serve ${service_world} storage/service/join_serve.c
          node/runtime/tls_make.c node/runtime/tls_pem.c
          USES pr_storage_query pr_storage_machine PkgConfig::OPENSSL PkgConfig::SODIUM)
unit_test(storage/service purges ${service_world} storage/service/purges.c
          ${storage_model} tests/unit/storage/moving.c
          USES pr_storage_query pr_storage_transfer Threads::Threads)
unit_test(storage/service fence_hello ${service_world} storage/service/fence.c storage/service/identity.c
          USES pr_storage_query pr_storage_machine)
unit_test(storage/service login ${service_world} storage/service/login.c storage/service/login_secrets.c
          storage/service/password_check.c storage/service/sessions.c tests/unit/storage/directory_lab.c
          USES pr_storage_query pr_storage_machine pr_auth pr_firewall PkgConfig::SODIUM)
unit_test(storage/service sending ${service_world} storage/service/sending.c
          storage/service/sending_lane.c storage/service/sending_tenants.c storage/service/sessions.c tests/unit/storage/directory_lab.c
          USES pr_storage_query pr_storage_machine PkgConfig::SODIUM)
unit_test(storage/service greylist_calls ${service_world} storage/service/greylist_calls.c
          tests/unit/storage/directory_lab.c
          USES pr_storage_query pr_storage_machine PkgConfig::SODIUM)
unit_test(storage/service sender_likeness SOURCES storage/service/sender_domain_likeness.c
          USES pr_mail pr_base PkgConfig::PSL PkgConfig::ICU)
unit_test(storage/service sender_domains ${service_world} storage/service/sender_domains.c
          storage/service/sender_domain_calls.c storage/service/sender_domain_likeness.c
          storage/service/sender_domain_similar.c tests/unit/storage/directory_lab.c
          USES pr_storage_query pr_storage_machine PkgConfig::SODIUM PkgConfig::PSL PkgConfig::ICU)
unit_test(storage/service password_rule ${service_world} storage/service/password_rule.c
          tests/unit/storage/directory_lab.c
          USES pr_auth pr_storage_query pr_storage_machine PkgConfig::SODIUM PkgConfig::OPENSSL)
unit_test(storage/service scopes_plan SOURCES storage/service/scopes_plan.c USES pr_schema pr_base)
unit_test(storage/service scopes_ask SOURCES storage/service/scopes.c storage/service/scopes_plan.c
          USES pr_schema pr_base)
unit_test(storage/service join ${service_world} storage/service/join.c storage/service/token.c
          storage/service/identity.c storage/service/cluster_folder.c
          node/runtime/tls_make.c node/runtime/tls_pem.c
          USES pr_storage_query pr_storage_machine pr_raft PkgConfig::OPENSSL PkgConfig::SODIUM)
unit_test(storage/service compaction ${service_world} storage/service/compaction.c
          USES pr_storage_query pr_storage_machine)
unit_test(storage/service cluster_init ${service_world} storage/service/cluster.c
          storage/service/identity.c storage/service/cluster_folder.c
          node/runtime/tls_make.c node/runtime/tls_pem.c
          USES pr_storage_query pr_storage_machine pr_raft PkgConfig::OPENSSL PkgConfig::SODIUM)
set(auth_lab SOURCES tests/unit/storage/auth/auth_lab.c
    USES pr_auth PkgConfig::GSASL PkgConfig::SODIUM PkgConfig::OPENSSL)
unit_test(storage/auth plain ${auth_lab})
unit_test(storage/auth scram_vectors ${auth_lab})
unit_test(storage/auth totp USES pr_auth)
unit_test(storage/auth scram ${auth_lab} SOURCES tests/unit/storage/auth/scram_client.c)
unit_test(storage/auth tampered ${auth_lab})
set(token_lab ${auth_lab} PkgConfig::JANSSON SOURCES tests/unit/storage/auth/token_lab.c)
unit_test(storage/auth oauth ${token_lab})
unit_test(storage/auth oauthbearer ${token_lab})
unit_test(storage/auth password_strength USES pr_auth PkgConfig::OPENSSL)
fuzz_target(auth_exchange USES pr_auth PkgConfig::SODIUM PkgConfig::OPENSSL)
set(directory_lab SOURCES tests/unit/storage/directory_lab.c tests/unit/storage/lab.c
    tests/unit/storage/invariants.c USES pr_storage_query pr_storage_machine)
unit_test(storage/machine aliases ${directory_lab})
foreach(name alias_random alias_routes credentials firewall_rows sender_domains settings_rows)
  unit_test(storage/machine ${name} ${directory_lab})
endforeach()
foreach(name addresses addresses_remote addresses_limits)
  unit_test(storage/query ${name} ${directory_lab} SOURCES tests/unit/storage/addresses_lab.c)
endforeach()
unit_test(storage/schema settings USES pr_schema)
unit_test(storage/schema net USES pr_schema)
include(storage_calls.cmake)
