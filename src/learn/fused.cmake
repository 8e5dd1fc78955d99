# The fused engine: graphs, plans and loops on oneDNN, and the reader that makes graphs of TorchScript. (Debian's CMake package of
# oneDNN asks for OpenCL's headers, which nothing here needs.)
find_library(DNNL_LIBRARY dnnl REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
# Loops over arrays, for several generations of processors: see for_each_level.h.
set_source_files_properties(fused/depthwise.cc fused/kernels.cc fused/kernels_norm.cc fused/kernels_pool.cc
  PROPERTIES COMPILE_OPTIONS "-O3;-fno-math-errno")
manako_library(fused
  SOURCES fused/arena.cc fused/convolution.cc fused/depthwise.cc fused/graph.cc fused/kernels.cc fused/kernels_norm.cc fused/kernels_pool.cc
          fused/loop_level.cc fused/nodes.cc fused/plan.cc fused/steps.cc fused/weight_gradient.cc
  DEPS manako_core
  PRIVATE_DEPS ${DNNL_LIBRARY} OpenMP::OpenMP_CXX)
manako_library(read_graph
  SOURCES fused/read_graph.cc
  DEPS manako_fused
  PRIVATE_DEPS manako_models manako::torch
  TESTS fused/plan_test.cc
  TEST_DEPS manako_models manako::torch)
# The same operations as on processors that have less than this one.
foreach(isa AVX512_CORE AVX2 SSE41)
  add_test(NAME read_graph_test_${isa} COMMAND read_graph_test --gtest_filter=PlanTest.*)
  set_tests_properties(read_graph_test_${isa} PROPERTIES ENVIRONMENT ONEDNN_MAX_CPU_ISA=${isa} TIMEOUT 1800)
endforeach()
