unit_test(node/runtime loop USES pr_runtime)
unit_test(node/runtime tls USES pr_runtime PkgConfig::OPENSSL)
