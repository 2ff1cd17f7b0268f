add_library(smtp_play STATIC unit/smtp/play.c)
target_link_libraries(smtp_play PUBLIC pr_smtp)
target_include_directories(smtp_play PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})

unit_test(smtp session USES smtp_play)
unit_test(smtp attacks USES smtp_play)
unit_test(smtp arguments USES smtp_play)
unit_test(smtp trace USES pr_smtp)
fuzz_target(smtp_session USES pr_smtp)
