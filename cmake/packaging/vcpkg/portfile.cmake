# Draft, not run: written from vcpkg's documentation. As an overlay port of this working tree:
#   vcpkg install nibble --overlay-ports=cmake/packaging/vcpkg
# A port of a release would take its archive by vcpkg_from_github or vcpkg_download_distfile instead.
set(VCPKG_BUILD_TYPE release) # headers only
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}" OPTIONS -DNIBBLE_WITH_CPUINFO=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/nibble)
vcpkg_fixup_pkgconfig()
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
