# `cpack -G DEB` in the build folder: one program, two systemd units, the documents.
include(GNUInstallDirs)
install(TARGETS manako RUNTIME DESTINATION bin)
install(FILES packaging/manako-server.service packaging/manako-site.service DESTINATION lib/systemd/system)
# As they lie in the tree, so that the links among them hold.
install(FILES README.md README.ja.md ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md LICENSE DESTINATION share/doc/manako)
install(DIRECTORY docs DESTINATION share/doc/manako FILES_MATCHING PATTERN "*.md")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME manako)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "Manako maintainers <maintainers@manako.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Hospitals train one diagnostic image model together; no image leaves any of them")
set(CPACK_PACKAGE_DESCRIPTION
  "Manako (眼) trains one diagnostic image model at several hospitals: each trains on its own images,
and only the trained parameters are sent to the central hospital, which averages them.
This package has the one program for the central hospital's server, a branch hospital's site, and the study on one machine.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/PackageModes.cmake)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)  # as Debian's own; a third smaller than cpack's gzip, for 2 s more
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/packaging/debian/postinst ${CMAKE_SOURCE_DIR}/packaging/debian/prerm ${CMAKE_SOURCE_DIR}/packaging/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
