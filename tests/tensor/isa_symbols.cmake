# The files compiled once per instruction set may give the program nothing but their tables. Anything else that
# is global, above all anything weak (an inline function, a template), could be merged with another set's copy,
# and code for the wrong processor would run.
#
#   cmake -DNM=nm "-DOBJECTS=a.o;b.o" -P isa_symbols.cmake
if(NOT OBJECTS)
  message(FATAL_ERROR "no objects to look at")
endif()
foreach(object ${OBJECTS})
  execute_process(COMMAND ${NM} -P --extern-only --defined-only ${object}
    OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+" symbols "${listing}")
  if(NOT symbols)
    message(SEND_ERROR "${object} defines no table")
  endif()
  foreach(symbol ${symbols})
    if(NOT symbol MATCHES "^[^ ]*_tableE? [DR] ")
      message(SEND_ERROR "${object} exports more than its table: ${symbol}")
    endif()
  endforeach()
endforeach()
