# Installation: headers, both libraries, the CMake package and the pkg-config
# file. The two libraries go into export sets of their own, because only the
# static one asks its user for libuv.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/pxrt)

install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
foreach(kind shared static)
  install(TARGETS pxrt_${kind} EXPORT pxrt-${kind})
  install(EXPORT pxrt-${kind} NAMESPACE pxrt:: DESTINATION ${package_dir})
endforeach()

configure_package_config_file(src/cmake/pxrtConfig.cmake.in
  ${PROJECT_BINARY_DIR}/pxrtConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pxrtConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/pxrtConfig.cmake
              ${PROJECT_BINARY_DIR}/pxrtConfigVersion.cmake
        DESTINATION ${package_dir})

# The .pc file finds its prefix from its own place, so that an installed tree
# may be moved.
file(RELATIVE_PATH PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" PC_PREFIX "${PC_PREFIX}")
configure_file(src/cmake/pxrt.pc.in ${PROJECT_BINARY_DIR}/pxrt.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/pxrt.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
