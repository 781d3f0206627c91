# Finds the headers of xsimd: NibbleXsimd_INCLUDE_DIR, NibbleXsimd_VERSION. xsimd's own target is not used, because Debian 12's links
# a library that does not exist (-lxtl).
find_path(NibbleXsimd_INCLUDE_DIR xsimd/xsimd.hpp HINTS ${xsimd_ROOT} ENV xsimd_ROOT PATH_SUFFIXES include)
mark_as_advanced(NibbleXsimd_INCLUDE_DIR)

set(NibbleXsimd_config "${NibbleXsimd_INCLUDE_DIR}/xsimd/config/xsimd_config.hpp")
if(NibbleXsimd_INCLUDE_DIR AND EXISTS "${NibbleXsimd_config}")
  file(STRINGS "${NibbleXsimd_config}" NibbleXsimd_lines REGEX "^#define XSIMD_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
  string(REGEX REPLACE "[^0-9;]" "" NibbleXsimd_numbers "${NibbleXsimd_lines}")
  list(JOIN NibbleXsimd_numbers "." NibbleXsimd_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NibbleXsimd
  REQUIRED_VARS NibbleXsimd_INCLUDE_DIR
  VERSION_VAR NibbleXsimd_VERSION
)
