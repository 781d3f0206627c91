# nibble_add_dependencies(TARGET): puts xsimd and cpuinfo, as found on this machine, onto nibble's target. Runs in nibble's own build
# and again wherever an installed nibble is found: BUILD_INTERFACE keeps this machine's paths out of the exported target.
function(nibble_add_dependencies target)
  list(APPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_FUNCTION_LIST_DIR}")

  find_package(NibbleXsimd QUIET)
  if(NibbleXsimd_FOUND)
    target_include_directories(${target} SYSTEM INTERFACE $<BUILD_INTERFACE:${NibbleXsimd_INCLUDE_DIR}>)
  else()
    message(WARNING "nibble: xsimd was not found, only the scalar backend will be compiled. "
      "Install it (Debian: libxsimd-dev) or set xsimd_ROOT.")
  endif()

  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    message(STATUS "nibble: no CMAKE_BUILD_TYPE is set, so that what includes nibble's kernels is compiled without optimization")
  endif()

  if(NIBBLE_WITH_CPUINFO)
    find_package(NibbleCpuinfo QUIET)
    if(NibbleCpuinfo_FOUND)
      target_compile_definitions(${target} INTERFACE $<BUILD_INTERFACE:NIBBLE_WITH_CPUINFO=1>)
      target_link_libraries(${target} INTERFACE $<BUILD_INTERFACE:NibbleCpuinfo::cpuinfo>)
    else()
      message(STATUS "nibble: cpuinfo was not found, the CPU is asked directly")
    endif()
  endif()
endfunction()

# nibble_add_kernels(TARGET): nibble::kernels, all kernels compiled once for the programs that link it, whose own files only declare them.
function(nibble_add_kernels target)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(TARGET nibble_kernels OR NOT CXX IN_LIST languages)
    return()
  endif()
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/kernels/*.cpp")
  add_library(nibble_kernels STATIC EXCLUDE_FROM_ALL ${sources})
  set_target_properties(nibble_kernels PROPERTIES POSITION_INDEPENDENT_CODE ON)
  add_library(nibble::kernels ALIAS nibble_kernels)
  target_compile_definitions(nibble_kernels PUBLIC NIBBLE_EXTERN_KERNELS)
  target_link_libraries(nibble_kernels PUBLIC ${target})
  # Whatever the build type: without optimization they are up to 350 times slower.
  target_compile_options(nibble_kernels PRIVATE $<$<NOT:$<CONFIG:Release,RelWithDebInfo,MinSizeRel>>:-O2>)
endfunction()
