unit_test(storage/service write SOURCES storage/service/write.c USES pr_schema pr_base)
unit_test(storage/service watch SOURCES storage/service/watch.c storage/service/sessions.c
          USES pr_schema pr_base PkgConfig::SODIUM)
set(storage_lab SOURCES tests/unit/storage/lab.c USES pr_storage_query pr_storage_machine)
unit_test(storage/machine deliver ${storage_lab})
