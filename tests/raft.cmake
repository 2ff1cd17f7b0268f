# SPDX-License-Identifier: GPL-2.0-or-later
include(sim.cmake)

add_executable(raft_cluster sim/cluster.c sim/cluster_node.c)
set_target_properties(raft_cluster PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(raft_cluster PRIVATE pr_raft)
add_test(NAME raft/cluster COMMAND raft_cluster ${CMAKE_CURRENT_BINARY_DIR})

unit_test(raft frame USES pr_raft)
unit_test(raft wire USES pr_raft)
unit_test(raft wide USES pr_raft)
unit_test(raft log_lmdb USES pr_raft Threads::Threads)
unit_test(raft follower USES pr_raft)
unit_test(raft operations USES pr_raft)
unit_test(raft guards USES pr_raft)
unit_test(raft trim USES pr_raft)
unit_test(raft replicator USES pr_raft)
fuzz_target(raft_wire USES pr_raft)
# The transport alone, over wires that break.
foreach(name transport transport_strangers transport_first)
  unit_test(raft ${name} USES pr_runtime ${NNG_LIBRARY} SOURCES raft/transport_nng.c raft/transport_link.c raft/link_dialect.c raft/frame.c)
  target_sources(test_raft_${name} PRIVATE unit/raft/transport_world.c)
endforeach()
set_tests_properties(unit/raft/transport PROPERTIES LABELS threads)
