unit_test(storage/service write SOURCES storage/service/write.c USES pr_schema pr_base)
