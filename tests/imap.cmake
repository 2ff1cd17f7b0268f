unit_test(imap parser USES pr_imap_protocol)
unit_test(imap write USES pr_imap_protocol)
unit_test(imap view USES pr_imap)
unit_test(imap batch USES pr_imap)
# A store in arrays, and what plays a session against it: for tests and fuzz targets.
module(imap_fake SOURCES unit/imap/fake_auth.c unit/imap/fake_driver.c unit/imap/fake_reads.c
                         unit/imap/fake_search.c unit/imap/fake_store.c unit/imap/fake_writes.c
       USES pr_imap pr_auth)
unit_test(imap conversation USES imap_fake)
target_sources(test_imap_conversation
               PRIVATE unit/imap/conversations_access.c unit/imap/conversations_login.c
                       unit/imap/conversations_mailbox.c unit/imap/conversations_message.c)
unit_test(imap large USES imap_fake)
unit_test(imap news USES imap_fake)
unit_test(imap login USES imap_fake)
unit_test(imap secrets USES imap_fake)
target_link_options(test_imap_secrets PRIVATE -Wl,--wrap=free)
fuzz_target(imap_parser USES pr_imap_protocol)
fuzz_target(imap_session USES imap_fake)
# The server over sockets, with the store in arrays behind an ipc endpoint.
unit_test(imap server USES imap_fake pr_imap_server PkgConfig::OPENSSL)
target_sources(test_imap_server PRIVATE unit/imap/client.c unit/imap/lab.c)
