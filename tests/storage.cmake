unit_test(storage/service write SOURCES storage/service/write.c USES pr_schema pr_base)
unit_test(storage/service watch SOURCES storage/service/watch.c storage/service/sessions.c
          USES pr_schema pr_base PkgConfig::SODIUM)
