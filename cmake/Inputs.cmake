# SPDX-License-Identifier: MIT

# inputs(VARIABLE FOLDER...): all files below the folders of the repository, looked up again at each build.
function(inputs variable)
    set(patterns)
    foreach(folder IN LISTS ARGN)
        list(APPEND patterns "${root}/${folder}/*")
    endforeach()
    file(GLOB_RECURSE files CONFIGURE_DEPENDS LIST_DIRECTORIES false ${patterns})
    list(FILTER files EXCLUDE REGEX "/(node_modules|generated|__pycache__)/")
    list(FILTER files EXCLUDE REGEX "\\.md$")
    set(${variable} "${files}" PARENT_SCOPE)
endfunction()
