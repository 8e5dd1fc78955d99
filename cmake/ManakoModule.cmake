# manako_library(name SOURCES a.cc ... DEPS targets... TESTS a_test.cc ... [TEST_DEPS targets...])
# makes the library manako_<name> and one test program <name>_test from the tests that stand beside the code.
function(manako_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS;TESTS;TEST_DEPS" ${ARGN})
  add_library(manako_${name} STATIC ${ARG_SOURCES})
  target_include_directories(manako_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(manako_${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  if(ARG_TESTS)
    manako_test(${name}_test SOURCES ${ARG_TESTS} DEPS manako_${name} ${ARG_TEST_DEPS})
  endif()
endfunction()

# manako_test(name SOURCES ... DEPS ...): a GoogleTest program, run by ctest as one test per suite program.
function(manako_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE
    MANAKO_SOURCE_DIR="${CMAKE_SOURCE_DIR}" MANAKO_TEST_DATA="${MANAKO_TEST_DATA}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 1800)
endfunction()
