# Debian's cross compiler for AArch64 (package g++-aarch64-linux-gnu), with qemu-user to run what it builds.
# tests/emulation/setup-aarch64 installs both. Add -DCMAKE_EXE_LINKER_FLAGS=-static for programs that run anywhere.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

# QEMU_CPU in the environment chooses the model.
get_filename_component(CMAKE_CROSSCOMPILING_EMULATOR
  "${CMAKE_CURRENT_LIST_DIR}/../../tests/emulation/run-aarch64" ABSOLUTE)

# Else pkg-config answers with the host's libraries. CMake's own searches know better: they go by the compiler's triplet.
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
