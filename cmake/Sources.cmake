# SPDX-License-Identifier: MIT
# Stock sources: Linux from Debian's linux-source package, the others as Debian source packages in the cache folder.

set(linux_source /usr/src/linux-source-6.12.tar.xz)
set(sources "${cache}/sources")
set(source_packages)

# source_package(PACKAGE RESULT [--tar-only]): the result is a link in the folder above.
function(source_package package result)
    add_custom_command(
        OUTPUT "${sources}/${result}"
        COMMAND "${root}/tools/fetch-source" ${package} "${sources}" ${ARGN}
        COMMENT "Downloading the source of ${package}"
        VERBATIM)
    set(source_packages ${source_packages} "${sources}/${result}" PARENT_SCOPE)
endfunction()

# Each is checked against its pin where it is used (tools/check-source).
source_package(musl musl.dsc)
# Functions of long double, for musl.
source_package(picolibc picolibc.tar --tar-only)
source_package(busybox busybox.dsc)
# libfdt, for the host. The other files of this package are not on every mirror.
source_package(device-tree-compiler device-tree-compiler.tar --tar-only)
# For TLS in a page, the same.
source_package(bearssl bearssl.tar --tar-only)
set(built_packages ${source_packages})
# For tests/databases.
source_package(sqlite3 sqlite3.dsc)
source_package(lmdb lmdb.dsc)
add_custom_target(sources DEPENDS ${source_packages})

set(source_results ${source_packages})
list(TRANSFORM source_results REPLACE "^.*/" "")
add_custom_target(update-sources
    COMMAND "${root}/tools/update-sources" "${sources}" ${source_results}
    USES_TERMINAL
    VERBATIM)

# At the end of each build: what was built, and what Debian has newer.
add_custom_target(versions ALL
    COMMAND "${root}/tools/source-versions" "${sources}"
    DEPENDS ${built_packages}
    COMMENT "Versions of the sources"
    VERBATIM)
