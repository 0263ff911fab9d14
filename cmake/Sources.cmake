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

# With Debian's security fixes.
source_package(musl musl.dsc)
# Functions of long double, for musl
source_package(picolibc picolibc.tar --tar-only)
# Without Debian's patches.
source_package(busybox busybox.tar --tar-only)
# libfdt, for the host
source_package(device-tree-compiler device-tree-compiler.tar --tar-only)
add_custom_target(sources DEPENDS ${source_packages})
