# Calls of front ends and operators, as they come; commands of accounts find their groups.
set(calls_world SOURCES tests/unit/storage/service/service_world.c
    tests/unit/storage/service/calls_world.c tests/unit/storage/directory_lab.c
    tests/unit/storage/lab.c tests/unit/storage/invariants.c storage/service/sessions.c)
set(calls_uses USES pr_storage_query pr_storage_machine pr_runtime PkgConfig::SODIUM)
foreach(name smtp_deliver smtp_held smtp_rights relay_calls relay_notices sending_lane)
  unit_test(storage/service ${name} ${calls_world} tests/unit/storage/service/smtp_lab.c
            storage/service/smtp_deliver.c storage/service/smtp_resolve.c storage/service/smtp_uploads.c
            storage/service/relay_calls.c
            storage/service/smtp_rights.c storage/service/sending_lane.c storage/service/promises.c ${calls_uses})
endforeach()
target_link_libraries(test_storage_service_relay_calls PRIVATE pr_store_client)
unit_test(storage/service relay_duties ${calls_world} storage/service/relay_duties.c ${calls_uses})
unit_test(storage/service calls USES pr_storage_service)
unit_test(storage/service promises SOURCES storage/service/promises.c USES pr_base PkgConfig::SODIUM)
unit_test(storage/service version_waits ${calls_world} storage/service/settings_calls.c ${calls_uses})
unit_test(storage/service firewall_news ${calls_world} storage/service/firewall.c
          storage/service/firewall_shares.c ${calls_uses} pr_firewall)
unit_test(storage/service firewall_shares SOURCES storage/service/firewall_shares.c
          USES pr_firewall pr_base)
unit_test(storage/service role_duty ${service_world} storage/service/role_duty.c
          tests/unit/storage/directory_lab.c
          USES pr_storage_query pr_storage_machine PkgConfig::SODIUM)
foreach(name app_passwords login_scram verifiers wiped)
  unit_test(storage/service ${name} ${calls_world} tests/unit/storage/service/login_lab.c
            tests/unit/storage/auth/scram_client.c storage/service/login.c
            storage/service/login_secrets.c storage/service/password_check.c
            storage/service/verifiers.c storage/service/app_passwords.c
            ${calls_uses} pr_auth pr_firewall PkgConfig::OPENSSL)
endforeach()
target_sources(test_storage_service_wiped PRIVATE ${PROJECT_SOURCE_DIR}/storage/service/passwords.c)
target_link_options(test_storage_service_wiped PRIVATE -Wl,--wrap=free)
unit_test(storage/service formats ${calls_world} storage/service/formats.c ${calls_uses})
unit_test(storage/service address_lists ${calls_world} storage/service/address_lists.c
          storage/service/listing.c ${calls_uses})
unit_test(storage/service secrets_told ${calls_world} storage/service/app_passwords.c
          storage/service/login_secrets.c ${calls_uses} pr_auth)
