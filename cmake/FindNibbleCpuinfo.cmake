# Finds cpuinfo: target NibbleCpuinfo::cpuinfo. Goes by header and library, because Debian 12's cpuinfo-config.cmake ends the
# configuration with an error even where it is only asked for quietly, and Ubuntu 22.04's package has no such file.
find_path(NibbleCpuinfo_INCLUDE_DIR cpuinfo.h HINTS ${cpuinfo_ROOT} ENV cpuinfo_ROOT PATH_SUFFIXES include)
find_library(NibbleCpuinfo_LIBRARY cpuinfo HINTS ${cpuinfo_ROOT} ENV cpuinfo_ROOT PATH_SUFFIXES lib)
find_library(NibbleCpuinfo_CLOG_LIBRARY clog HINTS ${cpuinfo_ROOT} ENV cpuinfo_ROOT PATH_SUFFIXES lib)
mark_as_advanced(NibbleCpuinfo_INCLUDE_DIR NibbleCpuinfo_LIBRARY NibbleCpuinfo_CLOG_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NibbleCpuinfo REQUIRED_VARS NibbleCpuinfo_LIBRARY NibbleCpuinfo_INCLUDE_DIR)

# GLOBAL, so that a project which takes nibble by add_subdirectory sees the target that nibble links.
if(NibbleCpuinfo_FOUND AND NOT TARGET NibbleCpuinfo::cpuinfo)
  add_library(NibbleCpuinfo::cpuinfo UNKNOWN IMPORTED GLOBAL)
  set_target_properties(NibbleCpuinfo::cpuinfo PROPERTIES
    IMPORTED_LOCATION "${NibbleCpuinfo_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${NibbleCpuinfo_INCLUDE_DIR}"
  )
  if(NibbleCpuinfo_LIBRARY MATCHES "\\.a$")
    find_package(Threads REQUIRED)
    set(NibbleCpuinfo_needs ${CMAKE_THREAD_LIBS_INIT})
    if(NibbleCpuinfo_CLOG_LIBRARY) # a library of its own in old versions only
      list(PREPEND NibbleCpuinfo_needs "${NibbleCpuinfo_CLOG_LIBRARY}")
    endif()
    set_target_properties(NibbleCpuinfo::cpuinfo PROPERTIES INTERFACE_LINK_LIBRARIES "${NibbleCpuinfo_needs}")
  endif()
endif()
