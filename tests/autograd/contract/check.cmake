# Compiles ops that break the contract of autograd/op.hpp and reads what the compiler says about them; and the
# gradient checker's header on its own.
# COMPILER, SOURCE (the tree) and SCRATCH (a folder for what comes out) are given.
set(here ${SOURCE}/tests/autograd/contract)

function(compile)
  execute_process(COMMAND ${COMPILER} -std=c++20 -I${SOURCE} ${ARGN}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  set(result ${result} PARENT_SCOPE)
  set(output "${output}" PARENT_SCOPE)
endfunction()

# The checker's header needs nothing of the tree: out of it, it compiles.
file(WRITE ${SCRATCH}/standalone/main.cpp "#include \"gradcheck.hpp\"\n")
file(COPY ${SOURCE}/autograd/gradcheck/gradcheck.hpp DESTINATION ${SCRATCH}/standalone)
execute_process(COMMAND ${COMPILER} -std=c++20 -fsyntax-only ${SCRATCH}/standalone/main.cpp
  RESULT_VARIABLE result ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "gradcheck.hpp does not stand alone:\n${output}")
endif()

compile(-fsyntax-only ${here}/whole_op.cpp)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "an op that keeps the contract does not compile:\n${output}")
endif()

compile(-fsyntax-only ${here}/lacking_ops.cpp)
if(result EQUAL 0)
  message(FATAL_ERROR "ops that lack members compile")
endif()
string(REPLACE ";" "," output "${output}")  # lists of CMake
string(REPLACE "[" "(" output "${output}")
string(REPLACE "]" ")" output "${output}")
# Every op here lacks one thing and no two sentences are alike, so a sentence says which op it is about; two
# ops may share one, which must come twice then.
function(expect sentence)
  string(REGEX MATCHALL "error:[^\n]*${sentence}" said "${output}")
  list(LENGTH said times)
  list(LENGTH ARGN wanted)
  if(NOT times EQUAL wanted)
    message(FATAL_ERROR "expected the compiler to say \"${sentence}\" for ${ARGN}:\n${output}")
  endif()
  foreach(op IN LISTS ARGN)
    if(NOT output MATCHES "describe[^\n]*${op}")
      message(FATAL_ERROR "expected the compiler to name ${op}:\n${output}")
    endif()
  endforeach()
endfunction()
expect("this op has no name" LacksName)
expect("this op has no formula" LacksFormula)
expect("this op does not say where it has kinks" LacksKinks)
expect("this op does not say whether it has a second_order" LacksSecondOrder)
expect("this op has no second order and does not say why" LacksReason)
expect("this op has no Specs shape_rule" LacksShapeRule)
expect("this op needs one of forward" LacksForward HasBothForwards)
expect("this op has no vjp" LacksVjp LacksSaves)
expect("this op has no samples" LacksSamples)

compile(-c ${here}/undefined_op.cpp -o ${SCRATCH}/undefined_op.o)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "a list with an op that is only declared does not compile:\n${output}")
endif()
compile(${SCRATCH}/undefined_op.o -o ${SCRATCH}/undefined_op)
if(result EQUAL 0 OR NOT output MATCHES "undefined reference to[^\n]*op_info<microtome::op::Forgotten>")
  message(FATAL_ERROR "an op in the list that nobody defines is not missed by the linker:\n${output}")
endif()
