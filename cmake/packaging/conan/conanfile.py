# Draft, not run: written from the documentation of Conan 2. For this working tree: conan create cmake/packaging/conan
# xsimd's versions are named by Conan Center; any from 8.1 on does.
import os
import re

from conan import ConanFile
from conan.tools.files import copy, load


class Nibble(ConanFile):
    name = "nibble"
    description = "Quantized tensor kernels, header-only"
    license = "Apache-2.0"
    package_type = "header-library"
    no_copy_source = True

    def root(self):
        return os.path.join(self.recipe_folder, "..", "..", "..")

    def set_version(self):
        config = load(self, os.path.join(self.root(), "include", "nibble", "core", "config.hpp"))
        self.version = ".".join(re.findall(r"#define NIBBLE_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", config))

    def requirements(self):
        self.requires("xsimd/[>=8.1]")

    def export_sources(self):
        copy(self, "include/nibble/*", self.root(), self.export_sources_folder)
        copy(self, "LICENSE", self.root(), self.export_sources_folder)

    def package(self):
        copy(self, "include/nibble/*", self.source_folder, self.package_folder)
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_id(self):
        self.info.clear()

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.set_property("cmake_file_name", "nibble")
        self.cpp_info.set_property("cmake_target_name", "nibble::nibble")
        self.cpp_info.set_property("pkg_config_name", "nibble")
