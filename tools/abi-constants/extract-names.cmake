# SPDX-License-Identifier: MIT
# Writes OUTPUT: one CONSTANT, STRUCTURE_BEGIN, FIELD or STRUCTURE_END line for
# each name in HEADER that is not reserved. Usage:
#   cmake -DHEADER=host.h -DOUTPUT=names.inc -P extract-names.cmake

file(READ "${HEADER}" text)
# Remove comments first, so that no name comes from one. Semicolons and brackets
# go too, because they would split or join CMake lists.
string(REGEX REPLACE "/\\*[^*]*\\*+([^/*][^*]*\\*+)*/" "" text "${text}")
string(REGEX REPLACE "\\[[^]]*\\]" "" text "${text}")
string(REPLACE ";" "@" text "${text}")

set(names "")
string(REGEX MATCHALL "#define[ \t]+AUKLET_[A-Z0-9_]+[ \t]+[^\n]" defines "${text}")
foreach(define IN LISTS defines)
    string(REGEX REPLACE "#define[ \t]+AUKLET_([A-Z0-9_]+)[ \t]+." "\\1" name "${define}")
    string(APPEND names "CONSTANT(${name})\n")
endforeach()

string(REGEX MATCHALL "struct auklet_[a-z_]+ {[^}]*}" structures "${text}")
foreach(structure IN LISTS structures)
    string(REGEX REPLACE "struct (auklet_([a-z_]+)) .*" "\\1" type "${structure}")
    string(REGEX REPLACE "struct auklet_([a-z_]+) .*" "\\1" name "${structure}")
    string(TOUPPER "${name}" name)
    string(APPEND names "STRUCTURE_BEGIN(${type}, ${name})\n")
    string(REGEX MATCHALL "[a-z_]+[ \t]*@" fields "${structure}")
    foreach(field IN LISTS fields)
        string(REGEX REPLACE "[ \t]*@" "" field "${field}")
        if(NOT field STREQUAL "reserved")
            string(APPEND names "FIELD(${type}, ${field})\n")
        endif()
    endforeach()
    string(APPEND names "STRUCTURE_END(${type}, ${name})\n")
endforeach()
file(WRITE "${OUTPUT}" "${names}")
