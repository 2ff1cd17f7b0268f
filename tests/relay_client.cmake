# The SMTP client engine of the relay.
add_library(relay_client_lab STATIC unit/relay/client_lab.c unit/relay/client_server.c)
target_link_libraries(relay_client_lab PUBLIC pr_smtp_client PkgConfig::CMOCKA)
target_include_directories(relay_client_lab PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
unit_test(relay client_conversations USES relay_client_lab)
unit_test(relay client_extensions USES relay_client_lab)
