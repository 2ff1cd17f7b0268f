add_library(smtp_play STATIC unit/smtp/play.c unit/smtp/play_auth.c)
target_link_libraries(smtp_play PUBLIC pr_smtp PkgConfig::CMOCKA)
target_include_directories(smtp_play PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})

unit_test(smtp session USES smtp_play)
unit_test(smtp attacks USES smtp_play)
unit_test(smtp arguments USES smtp_play)
unit_test(smtp chunks USES smtp_play)
unit_test(smtp parameters USES smtp_play)
unit_test(smtp auth USES smtp_play)
unit_test(smtp policy USES smtp_play)
unit_test(smtp trace USES pr_smtp)
fuzz_target(smtp_session USES pr_smtp)

# Instead of pr_store_client's client.o: an object goes before what an archive offers.
add_library(smtp_server OBJECT unit/smtp/fake_store.c unit/smtp/server.c)
target_link_libraries(smtp_server PUBLIC pr_smtp_receive PkgConfig::CMOCKA)
target_include_directories(smtp_server PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
unit_test(smtp receive USES smtp_server)
unit_test(smtp receive_times USES smtp_server)
add_executable(smtp_fake_server unit/smtp/fake_server.c)
target_link_libraries(smtp_fake_server PRIVATE smtp_server)
set_target_properties(smtp_fake_server PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                                  ${CMAKE_BINARY_DIR}/tests)
add_test(NAME unit/smtp/clients COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/unit/smtp/clients.py
                                        $<TARGET_FILE:smtp_fake_server>)
unit_test(smtp message_sanitize USES pr_smtp_message)
unit_test(smtp message_header_edit USES pr_smtp_message)
fuzz_target(smtp_header_edit USES pr_smtp_message)
