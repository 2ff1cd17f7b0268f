unit_test(imap view USES pr_imap)
