# SPDX-License-Identifier: MIT
# Stock sources: Linux from Debian's linux-source package, the others as Debian source packages in the cache folder.

set(linux_source /usr/src/linux-source-6.12.tar.xz)
set(sources "${cache}/sources")
set(source_packages)
foreach(package IN ITEMS musl busybox device-tree-compiler)
    add_custom_command(
        OUTPUT "${sources}/${package}.dsc"
        COMMAND "${root}/tools/fetch-source" ${package} "${sources}"
        COMMENT "Downloading the source of ${package}"
        VERBATIM)
    list(APPEND source_packages "${sources}/${package}.dsc")
endforeach()
add_custom_target(sources DEPENDS ${source_packages})
